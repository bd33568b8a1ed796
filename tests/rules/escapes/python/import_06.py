# caught: static
import importlib as got
reached = got
