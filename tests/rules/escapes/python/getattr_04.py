# caught: static
reached = getattr(lambda: 0, "__globals__")
