# caught: static
reached = __import__("os")
