# modes: restricted standard
class Inventory:
    def __init__(self):
        self._items = {}
    def add(self, name, count=1, price=0.0):
        old, _ = self._items.get(name, (0, price))
        self._items[name] = (old + count, price)
        return self
    def total(self):
        return sum(count * price for count, price in self._items.values())
    def __str__(self):
        return ", ".join(f"{count}x {name}" for name, (count, _) in sorted(self._items.items()))
stock = Inventory().add("nut", 10, 0.5).add("bolt", 4, 0.75).add("nut", 5, 0.5)
print(stock, stock.total())
