# modes: restricted standard
for value in ("3", "x", None, [1]):
    try:
        print(int(value))
    except (TypeError, ValueError) as error:
        print(type(error).__name__)
