# caught: static running
from collections import UserString
class Text(UserString):
    def __str__(self):
        return ""
reached = Text("{0.__glo" + "bals__}").format(lambda: 0)
