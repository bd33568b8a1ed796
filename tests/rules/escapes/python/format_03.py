# caught: static
reached = "{f.__globals__}".format_map({"f": lambda: 0})
