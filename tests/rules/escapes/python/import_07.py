# caught: static
import builtins as got
reached = got
