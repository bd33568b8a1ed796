# caught: static running
import enum
class Kept(enum.Enum):
    pass
found = getattr(enum.EnumMeta, "_con" + "vert_")(enum.Enum, "Found", "os", lambda name: name == "getpid")
reached = list(found)[0].value()
