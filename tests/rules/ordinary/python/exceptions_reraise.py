# modes: restricted standard
def risky():
    try:
        int("x")
    except ValueError:
        print("noted")
        raise
try:
    risky()
except (ValueError, TypeError) as error:
    print(type(error).__name__)
