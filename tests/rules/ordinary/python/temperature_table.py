# modes: restricted standard
for celsius in range(-10, 31, 10):
    print(f"{celsius:>4} C = {celsius * 9 / 5 + 32:>5.1f} F")
