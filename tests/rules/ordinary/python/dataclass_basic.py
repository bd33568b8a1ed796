# modes: standard
from dataclasses import dataclass, field, asdict, astuple, replace, fields
@dataclass
class Item:
    name: str
    price: float = 1.5
    tags: list[str] = field(default_factory=list)
    @property
    def label(self):
        return f"{self.name}:{self.price}"
item = Item("nut", tags=["a"])
print(item, item.label, asdict(item), astuple(item), replace(item, price=2), [f.name for f in fields(Item)], item == Item("nut", 1.5, ["a"]))
