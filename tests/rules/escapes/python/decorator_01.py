# caught: static
@exec
@(lambda f: "reached = True")
def f():
    pass
reached = True
