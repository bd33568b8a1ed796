# caught: static
reached = "{0.__globals__}".format(lambda: 0)
