# modes: restricted standard
print(0.1 + 0.2, round(0.1 + 0.2, 10), (0.5).as_integer_ratio(), float("inf") > 1, 1e16 + 1, (3.0).is_integer())
