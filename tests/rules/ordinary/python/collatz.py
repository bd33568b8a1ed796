# modes: restricted standard
def length(n):
    steps = 1
    while n != 1:
        n = 3 * n + 1 if n % 2 else n // 2
        steps += 1
    return steps
print(max(range(1, 1000), key=length), length(27))
