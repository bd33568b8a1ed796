# caught: running
reached = ("{0[}].__glo" + "bals__}").format({"}": lambda: 0})
