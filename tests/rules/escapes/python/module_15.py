# caught: static running
import enum, re
class R(enum.Enum):
    findall = 1
R.__module__ = "re"
getattr(enum, "global_" + "enum")(R)
reached = re.findall is R.findall
