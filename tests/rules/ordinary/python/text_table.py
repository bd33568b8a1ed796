# modes: restricted standard
rows = [("name", "qty"), ("apple", 3), ("pear", 12)]
widths = [max(len(str(row[at])) for row in rows) for at in range(2)]
for row in rows:
    print(" | ".join(str(cell).ljust(width) for cell, width in zip(row, widths)).rstrip())
