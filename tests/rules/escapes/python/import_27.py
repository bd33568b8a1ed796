# caught: static
def f():
    import os
    return os
reached = f()
