# caught: static running
import functools, textwrap
kept = []
class Cap:
    def __setattr__(self, name, value):
        kept.append(value)
class Name(str):
    def __str__(self):
        return "x"
functools.wraps(textwrap.dedent, assigned=[Name("__glo" + "bals__")], updated=())(Cap())
reached = kept[0]["re"]
