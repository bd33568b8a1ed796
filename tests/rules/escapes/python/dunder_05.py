# caught: static
class A:
    def f(self):
        pass
reached = A().f.__func__.__globals__
