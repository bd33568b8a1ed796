# modes: restricted standard
class Documented:
    """What it is for."""
    def method(self):
        """Says hello."""
print(Documented.__doc__, Documented.method.__doc__, Documented.__name__, Documented.method.__qualname__, Documented.__module__)
