# caught: static
reached = (lambda: 0).__globals__["__builtins__"]
