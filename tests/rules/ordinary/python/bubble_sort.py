# modes: restricted standard
values = [5, 2, 9, 1, 5, 6]
for end in range(len(values) - 1, 0, -1):
    for at in range(end):
        if values[at] > values[at + 1]:
            values[at], values[at + 1] = values[at + 1], values[at]
print(values)
