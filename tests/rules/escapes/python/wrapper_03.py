# caught: static
import functools
@functools.wraps(print)
def f():
    pass
reached = f.__wrapped__.__self__
