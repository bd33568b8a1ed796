# modes: restricted standard
UNITS = {"km": 1000.0, "m": 1.0, "cm": 0.01, "mi": 1609.344}
def convert(value, source, target):
    if source not in UNITS or target not in UNITS:
        raise ValueError(f"unknown unit: {source!r} or {target!r}")
    return value * UNITS[source] / UNITS[target]
print(f"{convert(5, 'mi', 'km'):.3f}")
try:
    convert(1, "m", "parsec")
except ValueError as error:
    print(error)
