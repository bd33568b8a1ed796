# caught: static
import types as got
reached = got
