# caught: static
class A:
    def __reduce_ex__(self, p):
        return super().__reduce_ex__(p)
reached = A().__reduce_ex__(2)[0].__globals__
