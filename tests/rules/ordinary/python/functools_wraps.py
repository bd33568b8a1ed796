# modes: standard
import functools


def counted(label=None):
    def decorate(function):
        @functools.wraps(function)
        def wrapper(*arguments, **named):
            wrapper.calls += 1
            return function(*arguments, **named)

        wrapper.calls = 0
        wrapper.label = label or function.__name__
        return wrapper

    return decorate


@counted()
@counted("inner")
def area(width: float, height: float = 1.0) -> float:
    """The area of a rectangle."""
    return width * height


class Caller:
    def __init__(self, function):
        functools.update_wrapper(self, function)
        self.function = function

    def __call__(self, *arguments):
        return self.function(*arguments)


def handmade(function):
    @functools.wraps(function, assigned=("__name__", "__doc__"))
    def wrapper(*arguments):
        return function(*arguments)

    wrapper.__dict__.update(function.__dict__)
    wrapper.__dict__["tag"] = "handmade"
    return wrapper


class Shape:
    @functools.cached_property
    def side(self):
        print("computed")
        return 3

    @functools.lru_cache(maxsize=None)
    def power(self, n):
        return self.side ** n


print(area(2, 3), area(4), area.calls, area.label, area.__name__, area.__doc__, area.__annotations__)
called = Caller(area)
print(called(1), called.__name__, called.__doc__, called.calls)
print(handmade(area)(2), handmade(area).tag, handmade(area).label, sorted(handmade(area).__dict__)[1:])
shape = Shape()
print(shape.side, shape.side, shape.power(2), sorted(vars(shape)), type(Shape.side).__name__)
