# caught: static running
import functools, textwrap
class Cap:
    def __setattr__(self, name, value):
        self.__dict__.setdefault("kept", []).append(value)
cap = Cap()
functools.update_wrapper(cap, textwrap.dedent, ("__glo" + "bals__",), ())
reached = cap.kept[0]["re"]
