# modes: standard
from __future__ import annotations

import functools
from collections.abc import Mapping
from decimal import Decimal


class Celsius:
    def __init__(self, degrees: float) -> None:
        self.degrees = degrees


@functools.singledispatch
def show(value) -> str:
    return f"something: {value}"


@show.register
def _(value: int) -> str:
    return f"a number: {value}"


@show.register
def _(value: Celsius) -> str:
    return f"{value.degrees} degrees"


@show.register
def _(value: Mapping) -> str:
    return ", ".join(f"{key} is {show(each)}" for key, each in value.items())


@show.register(list)
@show.register(tuple)
def _(value):
    return " and ".join(map(show, value))


@show.register(Decimal)
def show_decimal(value: Decimal) -> str:
    return f"exactly {value}"


class Printer:
    @functools.singledispatchmethod
    def line(self, value):
        return "?"

    @line.register
    def _(self, value: str) -> str:
        return f"'{value}'"

    @line.register
    def _(self, value: Celsius) -> str:
        return "warm"


print(show("x"), show(3), show(Celsius(4.5)), show({"a": 1, "b": [2, 3.5]}), show(Decimal("1.10")), sep="\n")
print(Printer().line(1), Printer().line("b"), Printer().line(Celsius(1)), show.dispatch(bool)(True))
