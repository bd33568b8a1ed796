# modes: standard
from typing import Generic, TypeVar, Protocol, Optional, Union, Callable, Any, TypedDict, Literal, Final, ClassVar, overload
T = TypeVar("T")
class Stack(Generic[T]):
    size: ClassVar[int] = 0
    def __init__(self) -> None:
        self.items: list[T] = []
    def push(self, item: T) -> None:
        self.items.append(item)
    def pop(self) -> Optional[T]:
        return self.items.pop() if self.items else None
class Movie(TypedDict, total=False):
    title: str
    year: int
class Sized(Protocol):
    def __len__(self) -> int: ...
stack = Stack[int]()
stack.push(4)
LIMIT: Final = 3
print(stack.pop(), stack.pop(), Movie(title="x"), Union[int, None], Callable[[int], str], Literal["a"])
