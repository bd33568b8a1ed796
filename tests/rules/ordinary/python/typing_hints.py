# modes: standard
from typing import get_type_hints, List
def f(a: int, b: "List[str]") -> None: ...
print(get_type_hints(f)["a"], get_type_hints(f)["b"])
