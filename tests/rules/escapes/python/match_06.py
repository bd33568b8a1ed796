# caught: running
class Meta(type):
    def __instancecheck__(cls, it):
        return True
    @property
    def __match_args__(cls):
        return ("__glo" + "bals__",)
class P(metaclass=Meta):
    pass
match (lambda: 0):
    case [P(found)] | P(found):
        reached = found
