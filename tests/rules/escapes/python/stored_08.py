# caught: static running
import typing
class C:
    x: int
C.__module__ = "os"
C.__annotations__["x"] = "sys"
reached = typing.get_type_hints(C)["x"]
