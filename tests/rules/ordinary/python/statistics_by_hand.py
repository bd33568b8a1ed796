# modes: restricted standard
data = [2, 4, 4, 4, 5, 5, 7, 9]
mean = sum(data) / len(data)
spread = (sum((x - mean) ** 2 for x in data) / len(data)) ** 0.5
print(mean, spread, sorted(data)[len(data) // 2])
