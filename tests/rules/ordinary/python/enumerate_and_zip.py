# modes: restricted standard
names, ages = ["a", "b", "c"], [1, 2, 3]
print(list(enumerate(names, 1)), dict(zip(names, ages)), list(zip(*[(1, 2), (3, 4)])), any(ages), all(ages))
