# caught: static
g = getattr
reached = g(lambda: 0, "__code__")
