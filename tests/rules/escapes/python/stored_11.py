# caught: static running
import functools, textwrap, typing
def f(x):
    pass
f.__annotations__["x"] = "re.enum.sys"
functools.update_wrapper(f, textwrap.dedent, (), ())
reached = typing.get_type_hints(f)["x"]
