# caught: static
import typing
reached = typing.sys
