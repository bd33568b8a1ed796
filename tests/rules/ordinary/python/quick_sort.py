# modes: restricted standard
def quick(items):
    if len(items) < 2:
        return items
    pivot, *rest = items
    return quick([x for x in rest if x < pivot]) + [pivot] + quick([x for x in rest if x >= pivot])
print(quick([3, 6, 1, 8, 2, 9, 2]))
