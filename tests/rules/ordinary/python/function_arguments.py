# modes: restricted standard
def describe(a, b=2, /, c=3, *rest, d, e=5, **named):
    return a, b, c, rest, d, e, named
print(describe(1, d=4), describe(1, 2, 3, 4, 5, d=6, z=7))
