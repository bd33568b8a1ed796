# caught: running
d = type.__dict__
reached = d["__subcl" + "asses__"](object)
