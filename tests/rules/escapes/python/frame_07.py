# caught: static
import sys
reached = sys._getframe().f_builtins
