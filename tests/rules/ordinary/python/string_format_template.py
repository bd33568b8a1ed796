# modes: restricted standard
TEMPLATE = "Dear {name},\nyou owe {amount:,.2f}."
print(TEMPLATE.format(name="Bob", amount=1234.5))
print("{a}-{b}".format_map({"a": 1, "b": 2}))
