# caught: static
import typing
reached = typing.ForwardRef("1 + 1")
