# caught: static
class A:
    @classmethod
    def c(cls):
        pass
reached = A.c.__func__
