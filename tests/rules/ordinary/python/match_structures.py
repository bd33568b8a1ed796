# modes: restricted standard
def handle(command):
    match command:
        case ["go", direction]:
            return f"going {direction}"
        case ["take", *items]:
            return f"taking {items}"
        case {"kind": "point", "at": (x, y), **rest}:
            return (x, y, rest)
        case _:
            return "what?"
print(handle(["go", "north"]), handle(["take", 1, 2]), handle({"kind": "point", "at": (1, 2), "z": 3}), handle(7))
