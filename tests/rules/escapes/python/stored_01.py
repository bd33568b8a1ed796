# caught: static
def f(x: "__import__('os')"): pass
import typing
try:
    typing.get_type_hints(f)
except TypeError:
    pass
reached = True
