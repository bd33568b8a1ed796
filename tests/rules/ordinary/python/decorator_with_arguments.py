# modes: restricted standard
def repeat(times):
    def decorate(function):
        def wrapper(*args):
            return [function(*args) for _ in range(times)]
        return wrapper
    return decorate
@repeat(times=3)
def double(x):
    return 2 * x
print(double(4))
