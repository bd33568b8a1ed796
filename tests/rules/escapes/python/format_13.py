# caught: running
class Text(str):
    def shown(self, it):
        return super().format(it)
reached = Text("{0.__glo" + "bals__}").shown(lambda: 0)
