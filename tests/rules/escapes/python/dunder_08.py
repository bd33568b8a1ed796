# caught: static
reached = [].append.__self__ is not None
