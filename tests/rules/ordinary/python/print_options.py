# modes: restricted standard
print("a", "b", sep="-", end="!\n")
print(*range(3), sep="\n")
print()
