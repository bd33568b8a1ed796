# caught: static
import ctypes as got
reached = got
