# caught: static running
import math as m
reached = getattr(m, "__load" + "er__")
