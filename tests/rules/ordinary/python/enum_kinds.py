# modes: standard
import enum
from enum import Enum, Flag, IntEnum, auto, unique


@unique
class Color(Enum):
    RED = auto()
    GREEN = auto()
    CRIMSON_TEXT = "crimson"

    @property
    def pretty(self):
        return self.name.title()

    @classmethod
    def parse(cls, text):
        return cls[text.upper()]

    @classmethod
    def _missing_(cls, value):
        return cls.RED

    def __str__(self):
        return f"Color<{self.value}>"


class Permission(Flag):
    READ = 4
    WRITE = 2


class Level(IntEnum):
    LOW = 1
    HIGH = 2


class Planet(Enum):
    EARTH = (5.97e24, 6.37e6)

    def __init__(self, mass, radius):
        self.mass, self.radius = mass, radius


Made = Enum("Made", "A B", module=__name__)


def tell(level):
    match level:
        case Level.LOW:
            return "low"
        case Level(value):
            return f"{value.name}"
        case Color():
            return level.pretty
    return "?"


print(str(Color.RED), repr(Color.GREEN), Color.parse("green").pretty, list(Color), Color("else"), list(Color.__members__))
print(Permission.READ in Permission.READ | Permission.WRITE, Level.LOW < Level.HIGH, Planet.EARTH.radius, list(Made))
print(tell(Level.LOW), tell(Level.HIGH), tell(Color.RED), tell(1.5), enum.EnumMeta is type(Color))
