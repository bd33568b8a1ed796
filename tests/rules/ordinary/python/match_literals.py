# modes: restricted standard
def describe(value):
    match value:
        case 0:
            return "zero"
        case 1 | 2:
            return "few"
        case int(n) if n < 0:
            return f"negative {n}"
        case str() as text:
            return f"text {text}"
        case None:
            return "nothing"
        case _:
            return "many"
print([describe(v) for v in (0, 2, -4, "x", None, 99)])
