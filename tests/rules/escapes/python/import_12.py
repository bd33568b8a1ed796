# caught: static
import multiprocessing as got
reached = got
