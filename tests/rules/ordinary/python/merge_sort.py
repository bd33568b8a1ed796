# modes: restricted standard
def merge_sort(items):
    if len(items) <= 1:
        return items
    half = len(items) // 2
    left, right = merge_sort(items[:half]), merge_sort(items[half:])
    merged = []
    while left and right:
        merged.append(left.pop(0) if left[0] <= right[0] else right.pop(0))
    return merged + left + right
print(merge_sort([5, 1, 4, 2, 8, 0]))
