# modes: restricted standard
data = [3, 8, 15, 4]
print([y for x in data if (y := x * 2) > 10], y)
while (item := data.pop()) != 8:
    print(item)
