# caught: static running
import operator
reached = operator.attrgetter("__co" + "de__.co_code")(lambda: 0)
