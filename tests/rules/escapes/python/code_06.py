# caught: static
reached = list(map(eval, ["1", "2"]))
