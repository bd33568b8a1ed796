# caught: static running
import typing
class Text(str):
    def __repr__(self):
        return ""
    def __str__(self):
        return "int"
def f(x):
    pass
f.__annotations__["x"] = Text("__imp" + "ort__('os', None, None, ['x']).path.__class__")
reached = typing.get_type_hints(f)["x"]
