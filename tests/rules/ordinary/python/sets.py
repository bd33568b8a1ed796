# modes: restricted standard
a, b = {1, 2, 3}, {2, 3, 4}
print(a | b, a & b, a - b, a ^ b, a <= {1, 2, 3, 4}, frozenset(a) == a, sorted(a.union([9])))
