# caught: running
class Name(str):
    def startswith(self, *a):
        return False
    def endswith(self, *a):
        return False
reached = list(map(getattr, [lambda: 0], [Name("__glo" + "bals__")]))
