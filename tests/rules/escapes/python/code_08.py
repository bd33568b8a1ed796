# caught: static
def f(run=eval):
    return run("8")
reached = f()
