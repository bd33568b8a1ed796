# caught: static
reached = globals()["__builtins__"]
