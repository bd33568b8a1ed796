# modes: restricted standard
values = [1, "a", 2.5, None, [1], (1,), {1: 2}, True, int, len]
print([type(value).__name__ for value in values], isinstance(True, int), issubclass(bool, int), type(3) is int)
