# modes: restricted standard
print(7 // 2, -7 // 2, 7 % 3, 2 ** 10, 1 / 4, divmod(17, 5), round(2.675, 2), abs(-3))
