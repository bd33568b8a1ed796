# caught: static
import code as got
reached = got
