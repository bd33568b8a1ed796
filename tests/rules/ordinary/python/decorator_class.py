# modes: restricted standard
def tagged(cls):
    cls.tag = cls.__name__.lower()
    return cls
@tagged
class Thing:
    pass
print(Thing.tag)
