# caught: static
@__import__
@(lambda c: "os")
class reached:
    pass
