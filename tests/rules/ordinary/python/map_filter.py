# modes: restricted standard
print(list(map(str.upper, ["a", "b"])), list(filter(None, [0, 1, "", "x"])), list(map(lambda a, b: a + b, [1], [2])), list(reversed([1, 2])))
