# caught: running
reached = list(map(getattr, [lambda: 0], ["__clo" + "sure__"])) == [None]
