# caught: running
reached = getattr("{0.__glo" + "bals__}", "format")(lambda: 0)
