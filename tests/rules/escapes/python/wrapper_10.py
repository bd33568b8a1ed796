# caught: static running
import functools
class C:
    pass
kept = functools.cached_property(len)
kept.__set_name__(C, "__subcl" + "asses__")
reached = kept.__get__(type)(object)
