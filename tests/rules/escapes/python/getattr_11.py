# caught: static running
import operator
reached = type(operator.attrgetter("a"))("__glo" + "bals__")(lambda: 0)
