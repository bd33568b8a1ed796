# modes: standard
from dataclasses import make_dataclass
Point = make_dataclass("Point", [("x", int), ("y", int, 5)])
print(Point(1), Point(1) == Point(1, 5))
