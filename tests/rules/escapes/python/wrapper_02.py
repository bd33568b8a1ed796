# caught: static
class A:
    def m(self):
        pass
reached = A().m.__self__
