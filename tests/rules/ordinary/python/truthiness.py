# modes: restricted standard
print([bool(v) for v in (0, 1, "", "a", [], [0], None, 0.0, {})], None or "default", 0 and 1, "a" and "b")
