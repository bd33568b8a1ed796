# caught: static running
import functools
class Cap:
    @property
    def __dict__(self):
        return self
    def update(self, names):
        global kept
        kept = names
functools.update_wrapper(Cap(), type, ())
reached = kept["__subcl" + "asses__"](object)
