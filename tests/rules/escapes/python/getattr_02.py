# caught: static running
f = getattr
name = "".join(["__co", "de__"])
reached = f(lambda: 0, name)
