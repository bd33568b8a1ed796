# caught: static
print(f"{eval(chr(49))}")
reached = True
