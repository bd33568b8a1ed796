# modes: restricted standard
x = 5
print(1 < x < 10, 1 < x > 3, not x, x is not None, x == 5 != 6, "yes" if 0 <= x <= 9 else "no")
