# modes: standard
from enum import Enum
class Light(Enum):
    RED = "stop"
    GREEN = "go"
def act(light):
    match light:
        case Light.RED:
            return "brake"
        case Light.GREEN:
            return "drive"
print(act(Light.RED), act(Light("go")))
