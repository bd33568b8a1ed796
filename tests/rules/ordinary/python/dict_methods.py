# modes: restricted standard
stock = {"apple": 3, "pear": 0}
stock.setdefault("plum", 7)
stock.update(apple=4)
print(stock.pop("pear"), list(stock.items()), stock.get("fig", "none"), {v: k for k, v in stock.items()}, "plum" in stock)
