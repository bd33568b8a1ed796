# caught: static
reached = vars()["__builtins__"]
