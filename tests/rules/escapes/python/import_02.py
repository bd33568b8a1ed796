# caught: static
import sys as got
reached = got
