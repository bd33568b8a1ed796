# caught: running
class Meta(type):
    def __prepare__(name, bases):
        return {"__match" + "_args__": ("__glo" + "bals__",)}
    def __instancecheck__(cls, it):
        return True
class P(metaclass=Meta):
    pass
class Q:
    def f(self):
        for each in [lambda: 0]:
            match {"a": each}:
                case {"a": P(found)}:
                    return found
reached = Q().f()
