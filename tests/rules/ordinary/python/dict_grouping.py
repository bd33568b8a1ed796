# modes: restricted standard
rows = [("fruit", "apple"), ("veg", "leek"), ("fruit", "pear")]
groups = {}
for kind, name in rows:
    groups.setdefault(kind, []).append(name)
print(groups)
