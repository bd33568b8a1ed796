# caught: static running
import dataclasses
class Kept:
    def keep(self, it):
        global reached
        reached = it
reached = None
@dataclasses.dataclass(init=False)
class A:
    x: Kept = None
dataclasses.fields(A)[0].name = "x.keep(s" + "ys)"
@dataclasses.dataclass(init=False, repr=False)
class B(A):
    __module__ = "o" + "s"
    x = Kept()
B() == B()
