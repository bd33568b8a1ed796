# caught: static
reached = (lambda: 0).__ｇlobals__
