# modes: standard
import belljar
import json
import math
import typing

for module in (belljar, json, math, typing):
    names = [name for name in dir(module) if not name.startswith("_")]
    print(module.__name__, all(hasattr(module, name) for name in names))
print("secrets" in dir(belljar), "loads" in dir(json), "pi" in dir(math), "List" in dir(typing))
