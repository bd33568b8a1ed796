# caught: static
reached = print.__self__.eval("1 + 1")
