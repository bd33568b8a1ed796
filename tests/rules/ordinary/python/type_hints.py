# modes: restricted standard
def scale(values: list[float], by: float = 2.0) -> list[float]:
    total: float = 0.0
    result: "list[float]" = [v * by for v in values]
    return result
print(scale([1, 2]), scale.__annotations__["by"], scale.__name__)
