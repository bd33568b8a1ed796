# caught: running
class Text(str):
    def __str__(self):
        return ""
reached = Text("{0.__glo" + "bals__}").format(lambda: 0)
