# caught: static
class C:
    run = exec
C.run("reached = 1")
reached = True
