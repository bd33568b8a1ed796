# caught: static
class A:
    pass
reached = A.__mro__[-1].__subclasses__()
