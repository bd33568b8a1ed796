# caught: static running
import string
reached = string.Formatter().format("{0.__glo" + "bals__}", lambda: 0)
