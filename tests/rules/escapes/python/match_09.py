# caught: static
match type:
    case object(__dict__=found):
        reached = found["__subcl" + "asses__"](object)
