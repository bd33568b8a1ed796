# caught: static
import atexit
reached = atexit.register(print)
