# modes: restricted standard
middle = slice(1, -1)
print("hello"[middle], [1, 2, 3, 4][slice(None, None, 2)], middle.start)
