# caught: running
reached = vars(str)["format"]("{0.__glo" + "bals__}", lambda: 0)
