# modes: restricted standard
cells = {(1, 0), (1, 1), (1, 2)}
def step(cells):
    near = {}
    for x, y in cells:
        for dx in (-1, 0, 1):
            for dy in (-1, 0, 1):
                if dx or dy:
                    near[x + dx, y + dy] = near.get((x + dx, y + dy), 0) + 1
    return {cell for cell, count in near.items() if count == 3 or count == 2 and cell in cells}
print(sorted(step(cells)), step(step(cells)) == cells)
