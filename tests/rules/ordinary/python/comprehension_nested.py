# modes: restricted standard
grid = [[row * 3 + column for column in range(3)] for row in range(3)]
print(grid, [value for row in grid for value in row if value % 2])
