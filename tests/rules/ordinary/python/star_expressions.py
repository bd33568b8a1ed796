# modes: restricted standard
def total(*numbers, **options):
    result = sum(numbers)
    return -result if options.get("negate") else result
print(total(*[1, 2], 3), total(*range(4), **{"negate": True}))
