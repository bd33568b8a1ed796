# modes: standard
import bisect
grades = [60, 70, 80, 90]
print(["FDCBA"[bisect.bisect(grades, score)] for score in (33, 99, 77, 70)])
items = [1, 3]
bisect.insort(items, 2)
print(items)
