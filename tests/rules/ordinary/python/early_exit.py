# modes: restricted standard
def work():
    for n in range(10):
        if n == 3:
            return n
print(work())
raise SystemExit(0)
