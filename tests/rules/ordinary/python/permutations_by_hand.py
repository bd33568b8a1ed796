# modes: restricted standard
def permutations(items):
    if not items:
        yield ()
    for at, item in enumerate(items):
        for rest in permutations(items[:at] + items[at + 1:]):
            yield (item, *rest)
print(["".join(p) for p in permutations("abc")])
