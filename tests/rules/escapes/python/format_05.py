# caught: running
reached = "".join(["{0.__co", "de__}"]).format(lambda: 0)
