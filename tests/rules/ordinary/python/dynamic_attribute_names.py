# modes: standard
class Row:
    pass
row = Row()
for name, value in {"id": 1, "title": "x"}.items():
    setattr(row, name, value)
print({name: getattr(row, name) for name in ("id", "title")}, [hasattr(row, n) for n in ("id", "none")])
