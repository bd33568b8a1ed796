# modes: restricted standard
row = [1]
for _ in range(6):
    print(" ".join(map(str, row)))
    row = [a + b for a, b in zip([0] + row, row + [0])]
