# modes: restricted standard
class Vector:
    __slots__ = ("x", "y")
    def __init__(self, x, y):
        self.x, self.y = x, y
    def __add__(self, other):
        return Vector(self.x + other.x, self.y + other.y)
    def __mul__(self, by):
        return Vector(self.x * by, self.y * by)
    __rmul__ = __mul__
    def __eq__(self, other):
        return isinstance(other, Vector) and (self.x, self.y) == (other.x, other.y)
    def __hash__(self):
        return hash((self.x, self.y))
    def __repr__(self):
        return f"Vector({self.x}, {self.y})"
    def __bool__(self):
        return bool(self.x or self.y)
print(Vector(1, 2) + 3 * Vector(1, 1), Vector(1, 2) == Vector(1, 2), bool(Vector(0, 0)), len({Vector(1, 1), Vector(1, 1)}))
