# modes: restricted standard
people = [("Ann", 31), ("Bob", 25), ("Cid", 31)]
print(sorted(people, key=lambda p: (-p[1], p[0])), min(people, key=lambda p: p[1]))
