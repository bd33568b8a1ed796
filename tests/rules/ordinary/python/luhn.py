# modes: restricted standard
def valid(number):
    digits = [int(c) for c in reversed(number)]
    total = sum(digits[::2]) + sum(sum(divmod(2 * d, 10)) for d in digits[1::2])
    return total % 10 == 0
print(valid("4539578763621486"), valid("4539578763621487"))
