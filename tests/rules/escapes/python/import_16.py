# caught: static
import marshal as got
reached = got
