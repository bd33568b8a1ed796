# caught: static
exec("reached = True")
