# modes: restricted standard
from __future__ import annotations
class Node:
    def __init__(self, value: int, next: Node | None = None) -> None:
        self.value, self.next = value, next
print(Node(1, Node(2)).next.value, Node.__init__.__annotations__["next"])
