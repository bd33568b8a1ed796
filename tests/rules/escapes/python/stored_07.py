# caught: static running
import functools
@functools.singledispatch
def f(x):
    return x
def g(x):
    global reached
    return x
class Kept:
    pass
g.__annotations__["x"] = "setattr(Kept, 'it', __imp" + "ort__('os', None, None, ['x'])) or int"
f.register(g)
reached = Kept.it
