# modes: restricted standard
print(int("ff", 16), int("0b101", 0), float("1e3"), complex("1+2j"), bin(10), oct(8), hex(255), 1_000_000, 0x1F)
