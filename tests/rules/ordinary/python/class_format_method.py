# modes: restricted standard
class Money:
    def __init__(self, cents):
        self.cents = cents
    def __format__(self, spec):
        return f"{self.cents / 100:{spec or '.2f'}}"
    def __str__(self):
        return "$" + format(self)
print(f"{Money(1234)} {Money(1234):.1f}", str(Money(5)))
