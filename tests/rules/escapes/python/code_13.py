# caught: static
with_eval = [eval]
reached = with_eval[0]("6")
