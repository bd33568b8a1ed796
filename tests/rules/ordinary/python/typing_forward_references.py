# modes: standard
import typing
from dataclasses import dataclass, field, fields
from typing import Dict, List, NamedTuple, Optional


@dataclass
class Node:
    value: int
    next: Optional["Node"] = None
    children: "List[Node]" = field(default_factory=list)
    names: Dict[str, "typing.Tuple[int, Node]"] = field(default_factory=dict)


class Pair(NamedTuple):
    left: "Node"
    right: "Optional[Pair]" = None


class Unit(typing.TypedDict):
    name: "str"
    parts: "List[Unit]"


class Derived(Node):
    extra: "typing.ClassVar[Dict[str, Node]]" = {}


def walk(node: "Node", depth: "int" = 0, *, until: "typing.Callable[[Node], bool]" = None) -> "typing.Iterator[Node]":
    yield node
    for child in node.children:
        yield from walk(child, depth + 1)


def outer():
    class Local:
        pass

    def inner(it: "Local", other: "Alias") -> None:
        pass

    return typing.get_type_hints(inner, {"Alias": int}, {"Local": Local})


for each in (Node, Pair, Unit, Derived, walk, Node.__init__):
    print(sorted((name, str(hint)) for name, hint in typing.get_type_hints(each).items()))
print(sorted((name, hint.__name__) for name, hint in outer().items() if name != "return"))
print([each.name for each in fields(Derived)], [each.value for each in walk(Node(1, children=[Node(2), Node(3)]))])
