# caught: static
import math, os as math2
reached = math2
