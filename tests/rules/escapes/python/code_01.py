# caught: static
reached = eval("2 + 3") == 5
