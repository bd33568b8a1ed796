# modes: restricted standard
def numbers():
    n = 0
    while True:
        yield n
        n += 1
def squares(source):
    return (n * n for n in source)
def take(count, source):
    for _, value in zip(range(count), source):
        yield value
print(list(take(6, squares(numbers()))))
