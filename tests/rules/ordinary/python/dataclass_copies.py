# modes: standard
import copy
from dataclasses import asdict, astuple, dataclass, field, fields, is_dataclass, make_dataclass, replace


@dataclass(frozen=True, order=True)
class Point:
    x: int
    y: int = 0


@dataclass
class Shape:
    name: str
    points: list = field(default_factory=list)
    labels: dict = field(default_factory=dict, repr=False)
    format: str = "svg"
    _hidden: int = field(default=0, compare=False)

    def __post_init__(self):
        self.name = self.name.title()


class Kept(Shape):
    def __init__(self, name):
        super().__init__(name, [Point(5)])


shape = Shape("square", [Point(0), Point(1, 1)], {"a": Point(2)})
print(asdict(shape), astuple(shape), sep="\n")
print(replace(shape, name="circle", points=[]), replace(Point(1), y=4), sorted([Point(2), Point(1, 9)]))
print(asdict(shape, dict_factory=lambda pairs: {name.upper(): value for name, value in pairs}))
print(copy.deepcopy(shape) == shape, asdict(Kept("x")), [each.name for each in fields(Shape)], is_dataclass(Point))
Made = make_dataclass("Made", [("id", int), ("tags", list, field(default_factory=list))], namespace={"n": lambda self: self.id})
print(Made(3), Made(3).n(), asdict(Made(1, ["t"])), shape.format, repr(getattr(shape, "format")))
try:
    Point(1).x = 2
except AttributeError as error:
    print(type(error).__name__, error)
