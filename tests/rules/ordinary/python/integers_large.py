# modes: restricted standard
print(2 ** 200, (2 ** 200).bit_length(), pow(3, 100, 7), -5 >> 1, 6 ^ 3, ~5)
