# modes: standard
from collections import namedtuple
Point = namedtuple("Point", ["x", "y"], defaults=[0])
p = Point(3)
print(p, p._replace(y=4), p._asdict(), Point._fields, p.x + p[1], Point._make([7, 8]))
