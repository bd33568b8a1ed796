# modes: restricted standard
def dive(n):
    return dive(n + 1)
try:
    dive(0)
except RecursionError as error:
    print("too deep:", type(error).__name__)
