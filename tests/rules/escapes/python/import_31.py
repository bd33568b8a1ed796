# caught: static
i = __import__
reached = i("os")
