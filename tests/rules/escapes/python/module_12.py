# caught: static
import statistics
reached = statistics.sys
