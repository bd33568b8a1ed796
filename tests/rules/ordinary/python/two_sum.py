# modes: restricted standard
def two_sum(numbers, target):
    seen = {}
    for at, number in enumerate(numbers):
        if target - number in seen:
            return seen[target - number], at
        seen[number] = at
print(two_sum([2, 7, 11, 15], 26))
