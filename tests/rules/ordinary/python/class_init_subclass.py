# modes: restricted standard
class Plugin:
    registry = {}
    def __init_subclass__(cls, name=None, **rest):
        super().__init_subclass__(**rest)
        Plugin.registry[name or cls.__name__] = cls
class First(Plugin, name="one"):
    pass
class Second(Plugin):
    pass
print(sorted(Plugin.registry))
