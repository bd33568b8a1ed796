# caught: running
class A:
    def __getattribute__(self, name):
        return object.__getattribute__(self, name)
    def f(self):
        pass
class B:
    def __getattribute__(self, name):
        return object.__getattribute__((lambda: 0), "__glo" + "bals__")
reached = B().x
