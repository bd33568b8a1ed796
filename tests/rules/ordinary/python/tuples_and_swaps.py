# modes: restricted standard
point = (1, 2)
x, y = point
x, y = y, x
print(x, y, point + (3,), point * 2, (1, 2) < (1, 3), hash(point) == hash((1, 2)))
