# caught: running
class Meta(type):
    def __instancecheck__(cls, it):
        return True
class P(metaclass=Meta):
    pass
type.__setattr__(P, "__match_args__", ("__glo" + "bals__",))
match (lambda: 0):
    case P(found):
        reached = found
