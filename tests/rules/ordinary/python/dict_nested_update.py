# modes: restricted standard
def merge(base, extra):
    for key, value in extra.items():
        if isinstance(value, dict) and isinstance(base.get(key), dict):
            merge(base[key], value)
        else:
            base[key] = value
    return base
print(merge({"a": {"b": 1}, "c": 2}, {"a": {"d": 3}, "c": 4}))
