# caught: static
reached = (lambda: eval)()("9")
