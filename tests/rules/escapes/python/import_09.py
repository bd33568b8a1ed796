# caught: static
import inspect as got
reached = got
