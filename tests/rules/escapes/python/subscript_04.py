# caught: static
class A:
    pass
reached = object.__dict__["__reduce_ex__"]
