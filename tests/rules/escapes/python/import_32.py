# caught: static
from importlib import import_module
reached = import_module("os")
