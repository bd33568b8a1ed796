# modes: restricted standard
rows = [[1, 2, 3], [4, 5, 6]]
print([list(column) for column in zip(*rows)])
