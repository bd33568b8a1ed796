# caught: running
class Any(type):
    def __instancecheck__(cls, value):
        return True
class Spy(metaclass=Any):
    pass
list(map(setattr, [Spy], ["__match_" + "args__"], [("__glo" + "bals__",)]))
match (lambda: 0):
    case Spy(g):
        reached = g
