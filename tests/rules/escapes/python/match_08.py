# caught: running
class Meta(type):
    def __instancecheck__(cls, it):
        return True
    def __getattr__(cls, name):
        return ("__glo" + "bals__",)
class P(metaclass=Meta):
    pass
match (lambda: 0):
    case P(found):
        reached = found
