# modes: standard
from enum import Enum


class Size:
    __match_args__ = ("side",)

    def __init__(self, side):
        self.side = side


class Level(Enum):
    match Size(3):
        case Size(side):
            LOW = side + 1


print(list(Level))
