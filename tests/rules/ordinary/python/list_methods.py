# modes: restricted standard
items = [3, 1, 2]
items.extend([5, 4])
items.insert(0, 9)
items.remove(5)
items.sort(reverse=True)
print(items, items.index(3), items.count(1), items[::-1], items[1:-1], [0] * 3)
del items[:2]
print(items)
