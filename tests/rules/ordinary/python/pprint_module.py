# modes: standard
from pprint import pprint, pformat
pprint({"b": [1, 2], "a": {"nested": list(range(5))}}, width=30)
print(pformat((1, "x")))
