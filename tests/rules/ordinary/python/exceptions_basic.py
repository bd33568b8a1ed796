# modes: restricted standard
def divide(a, b):
    try:
        result = a / b
    except ZeroDivisionError as error:
        return f"cannot: {error}"
    else:
        return result
    finally:
        print("tried", a, b)
print(divide(4, 2), divide(1, 0))
