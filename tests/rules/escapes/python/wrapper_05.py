# caught: static
import functools
@functools.lru_cache
def f():
    pass
reached = f.__wrapped__.__globals__
