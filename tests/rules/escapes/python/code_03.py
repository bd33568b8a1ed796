# caught: static
reached = eval(compile("6 * 7", "x", "eval"))
