# caught: running
reached = list(map(str.format, ["{0.__glo" + "bals__}"], [lambda: 0]))
