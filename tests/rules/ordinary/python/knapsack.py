# modes: restricted standard
items = [(60, 10), (100, 20), (120, 30)]
best = [0] * 51
for value, weight in items:
    for room in range(50, weight - 1, -1):
        best[room] = max(best[room], best[room - weight] + value)
print(best[50])
