# modes: restricted standard
print([x * y for x in range(3) for y in range(3) if x != y])
print({c: ord(c) for c in "abc"}, {len(w) for w in ("a", "bb", "cc")}, sum(x for x in range(5)))
