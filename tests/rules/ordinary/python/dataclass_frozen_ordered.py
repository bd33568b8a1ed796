# modes: standard
from dataclasses import dataclass, FrozenInstanceError
@dataclass(frozen=True, order=True, slots=True)
class Version:
    major: int
    minor: int = 0
    def __post_init__(self):
        object.__setattr__(self, "major", int(self.major))
print(sorted([Version(2), Version("1", 5), Version(1, 2)]), hash(Version(1)) == hash(Version(1)))
try:
    Version(1).major = 3
except (FrozenInstanceError, AttributeError) as error:
    print(type(error).__name__)
