# caught: static
def f():
    pass
reached = f.__code__.co_code
