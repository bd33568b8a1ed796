# caught: static
import pathlib as got
reached = got
