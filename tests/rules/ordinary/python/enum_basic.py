# modes: standard
from enum import Enum, auto, IntEnum, Flag, unique
@unique
class Color(Enum):
    RED = 1
    GREEN = auto()
    def shout(self):
        return self.name + "!"
class Level(IntEnum):
    LOW = 1
    HIGH = 5
class Access(Flag):
    READ = auto()
    WRITE = auto()
print(Color.RED, Color(2).shout(), Color["RED"].value, [c.name for c in Color], Level.HIGH > 3, Access.READ | Access.WRITE, Access.READ in (Access.READ | Access.WRITE))
print(len(Color.__members__), isinstance(Color.RED, Color))
