# caught: static
reached = ｅval("1")
