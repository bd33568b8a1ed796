# caught: static running
reached = getattr(lambda: 0, "__glo" + "bals__")
