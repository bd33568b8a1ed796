# modes: restricted standard
def shout(function):
    def wrapper(*args, **kwargs):
        return function(*args, **kwargs).upper() + "!"
    return wrapper
@shout
def greet(name):
    return f"hello {name}"
print(greet("ada"))
