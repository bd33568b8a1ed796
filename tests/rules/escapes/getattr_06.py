# caught: running
class Name(str):
    def startswith(self, *a):
        return False
    def __eq__(self, other):
        return False
    def __hash__(self):
        return 0
reached = list(map(getattr, [lambda: 0], [Name("__glo" + "bals__")]))
