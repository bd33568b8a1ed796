# caught: static
reached = locals()["__builtins__"]
