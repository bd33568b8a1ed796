# caught: static
import sys
reached = sys.modules["os"]
