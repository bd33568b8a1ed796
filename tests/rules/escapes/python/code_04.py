# caught: static
e = eval
reached = e("1")
