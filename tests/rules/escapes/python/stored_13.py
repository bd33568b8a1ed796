# caught: static running
import dataclasses
kept = []
@dataclasses.dataclass
class A:
    x: int = 0
dataclasses.fields(A)[0].name = "x,kept.append(__imp" + "ort__('os', None, None, ['x']))"
@dataclasses.dataclass(init=False, repr=False)
class B(A):
    pass
reached = B() == B() or kept[0]
