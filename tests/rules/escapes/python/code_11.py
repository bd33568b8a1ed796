# caught: static
reached = {"run": eval}["run"]("4")
