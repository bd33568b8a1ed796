# caught: static
import gc as got
reached = got
