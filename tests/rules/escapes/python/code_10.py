# caught: static
import functools
reached = functools.partial(eval, "3")()
