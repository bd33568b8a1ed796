# modes: restricted standard
a, b = 0, 1
seen = []
while a < 200:
    seen.append(a)
    a, b = b, a + b
print(seen)
