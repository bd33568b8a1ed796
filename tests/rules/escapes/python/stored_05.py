# caught: static
import timeit
reached = timeit.timeit("1", number=1) >= 0
