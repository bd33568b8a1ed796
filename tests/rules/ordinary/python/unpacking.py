# modes: restricted standard
first, *middle, last = range(6)
(a, b), c = (1, 2), 3
merged = {**{"x": 1}, **{"y": 2}}
print(first, middle, last, a, b, c, [*middle, *"ab"], merged)
