# modes: restricted standard
class Registry(type):
    known = []

    def __new__(kind, name, bases, names, **options):
        made = super().__new__(kind, name, bases, names)
        kind.known.append(name)
        return made


class Shape(metaclass=Registry):
    __match_args__ = ("size", "format")

    def __init__(self, size, format="svg"):
        self.size, self.format = size, format


class Square(Shape):
    pass


class Circle(Shape):
    __match_args__ = ("radius",)

    def __init__(self, radius):
        super().__init__(2 * radius)
        self.radius = radius


class Plain:
    pass


class Shelf:
    kinds = Plain

    def tell(self, it):
        match it:
            case Square(size) if size > 10:
                return f"large square {size}"
            case Square(3 | 4 as size, "svg"):
                return f"square {size}"
            case Circle(radius=1) | Circle(2):
                return "small circle"
            case Shape(size, format=format):
                return f"{format} {size}"
            case [Circle(first), *_, Square(Square(last))] | (Circle(first), last):
                return f"from {first} to {last.size if isinstance(last, Shape) else last}"
            case {"kind": str(kind), "at": (int(x), float(y) | int(y))}:
                return f"{kind} at {x} {y}"
            case int(number):
                return f"number {number}"
            case self.kinds():
                return "plain"
            case bool() | None:
                return "nothing"
            case str(text) | bytes(text):
                return f"text {text!r}"
        return "?"


values = [Square(11), Square(3), Circle(1), Circle(2), Shape(7, "png"), [Circle(5), 1, Square(Square(6))],
          (Circle(8), "end"), {"kind": "dot", "at": [1, 2.5]}, 5, Plain(), None, "word", b"bytes", 1.5]
for each in values:
    print(Shelf().tell(each))
match Plain():
    case Plain() as found:
        print(type(found).__name__, Registry.known)
try:
    match Plain():
        case Plain(position):
            print(position)
except TypeError as error:
    print(error)


class Chosen:
    match Circle(4):
        case Circle(radius):
            pass


print([name for name in dir(Chosen) if name not in dir(Plain)])
