# modes: standard
import functools
from functools import reduce, partial, lru_cache, wraps, total_ordering, singledispatch, cached_property
@lru_cache(maxsize=None)
def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)
def traced(function):
    @wraps(function)
    def wrapper(*args):
        return function.__name__, function(*args)
    return wrapper
@traced
def add(a, b):
    """Adds."""
    return a + b
@singledispatch
def show(value):
    return "any"
@show.register
def _(value: int):
    return "int"
class Lazy:
    @cached_property
    def value(self):
        return 42
print(fib(40), fib.cache_info().hits, add(1, 2), add.__name__, add.__doc__, reduce(lambda a, b: a * b, range(1, 6)), partial(pow, 2)(5), show(1), show("x"), Lazy().value)
