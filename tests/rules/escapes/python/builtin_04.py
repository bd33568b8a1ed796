# caught: static
g = globals
reached = g()
