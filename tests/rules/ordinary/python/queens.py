# modes: restricted standard
def queens(n, row=0, columns=(), solutions=None):
    solutions = [] if solutions is None else solutions
    if row == n:
        solutions.append(columns)
    for column in range(n):
        if all(column != c and abs(column - c) != row - r for r, c in enumerate(columns)):
            queens(n, row + 1, columns + (column,), solutions)
    return solutions
print(len(queens(6)), queens(4))
