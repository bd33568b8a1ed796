# caught: static
match (lambda: 0):
    case object(__globals__=g):
        reached = g
