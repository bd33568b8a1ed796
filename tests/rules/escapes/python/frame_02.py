# caught: static
reached = (x for x in ()).gi_code
