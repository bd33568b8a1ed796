# caught: static
def g():
    yield
reached = g().gi_frame
