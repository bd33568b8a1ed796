# caught: static
import collections as c
reached = c._sys.modules
