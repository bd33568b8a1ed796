# caught: static running
import dataclasses
@dataclasses.dataclass
class A:
    x: int = 0
dataclasses.fields(A)[0].name = "__glo" + "bals__"
class B:
    __dataclass_fields__ = A.__dataclass_fields__
def f():
    pass
class Same(B):
    def __getattribute__(self, name):
        if name.startswith("__glo"):
            raise KeyError(name)
        return super().__getattribute__(name)
try:
    dataclasses.astuple(Same())
    reached = None
except KeyError as error:
    # The name went to the object, and would have to any other.
    reached = error.args[0]
