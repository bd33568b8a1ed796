# caught: running
d = vars(type)
reached = d["__subcl" + "asses__"](object)
