# caught: static
def f():
    return locals()
reached = f() == {}
