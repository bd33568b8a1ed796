# caught: static
class Any(type):
    def __instancecheck__(cls, value):
        return True
class Spy(metaclass=Any):
    __match_args__ = ("__globals__",)
match (lambda: 0):
    case Spy(g):
        reached = g
