# modes: restricted standard
x = "module"
def outer():
    x = "outer"
    def inner():
        return x
    return inner()
class Scope:
    x = "class"
    y = [x for _ in range(1)] if False else x
print(outer(), Scope.y, x)
