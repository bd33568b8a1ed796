# modes: standard
from dataclasses import dataclass, field, KW_ONLY
@dataclass
class Base:
    id: int
@dataclass
class Child(Base):
    name: str = "x"
    _: KW_ONLY
    total: float = field(init=False, default=0.0, repr=False)
    flag: bool = False
print(Child(1, flag=True), Child(2, "y").total, Child.__dataclass_fields__["name"].default)
