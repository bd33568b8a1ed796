# caught: static running
import operator
reached = operator.methodcaller("for" + "mat", lambda: 0)("{0.__glo" + "bals__}")
