# modes: restricted standard
class Point:
    __match_args__ = ("x", "y")
    def __init__(self, x, y):
        self.x, self.y = x, y
def where(point):
    match point:
        case Point(0, 0):
            return "origin"
        case Point(x=0, y=y):
            return f"y axis {y}"
        case Point(x, y):
            return f"{x}, {y}"
print(where(Point(0, 0)), where(Point(0, 3)), where(Point(1, 2)))
