# caught: static running
import typing
def f(x): pass
f.__annotations__["x"] = "().__cl" + "ass__.__ba" + "se__.__subcl" + "asses__()"
try:
    typing.get_type_hints(f)
except TypeError:
    pass
reached = True
