# caught: static
if 0:
    eval = None
reached = eval("7")
