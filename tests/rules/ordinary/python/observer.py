# modes: restricted standard
class Event:
    def __init__(self):
        self.handlers = []
    def __iadd__(self, handler):
        self.handlers.append(handler)
        return self
    def __call__(self, *args):
        for handler in self.handlers:
            handler(*args)
changed = Event()
changed += lambda value: print("first", value)
changed += lambda value: print("second", value * 2)
changed(21)
