# caught: static
import mmap as got
reached = got
