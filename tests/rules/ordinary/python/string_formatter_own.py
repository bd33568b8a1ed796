# modes: standard
import operator
import string
from collections import UserString


class Point:
    def __init__(self, x, y):
        self.x, self.y = x, y

    def __format__(self, spec):
        return f"<{self.x}{spec or ','}{self.y}>"


class Lenient(string.Formatter):
    def get_value(self, key, arguments, named):
        return named.get(key, "?") if isinstance(key, str) else super().get_value(key, arguments, named)

    def get_field(self, name, arguments, named):
        found, first = super().get_field(name, arguments, named)
        return found, first

    def convert_field(self, value, conversion):
        return str(value).upper() if conversion == "u" else super().convert_field(value, conversion)


class Loud(str):
    def format(self, *arguments, **named):
        return super().format(*arguments, **named).upper()


point, names = Point(1, 2), {"a b": [3, 4], "}": 5}
print(Lenient().format("{a} {b} {0} {0.x!u} {p.y:>4}", point, a="one", p=point))
print(string.Formatter().vformat("{0[a b][1]} {1.x:{2}}|{{__mro__}}", (names, point, 5), {}))
print("{0[a b][0]} {0[}]} {1:;} {1.y:0{w}d}".format(names, point, w=3), list(string.Formatter().parse("a{b!r:c}")))
text = "Dear {user.x}, __mro__ in text {user.y}; {{user.__mro__}}"
print(text.format(user=point), Loud("{} b").format("a"), UserString("{0}-{0.x}").format(point))
print(list(map("{:02d}".format, [1, 2])), "{a}{b}".format_map({"a": 1, "b": 2}), str.format("{}", 1))
print(operator.methodcaller("format", "x")("{}!"), operator.methodcaller("split", ",")("a,b"))
print(operator.attrgetter("x", "y")(point), sorted([Point(3, 1), point], key=operator.attrgetter("x"))[0].x)
try:
    print("{".format(1))
except ValueError as error:
    print(error)
