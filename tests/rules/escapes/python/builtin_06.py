# caught: static
reached = [h for h in (help, breakpoint)]
