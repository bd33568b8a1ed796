# modes: standard
class Logged:
    def __init__(self):
        self.calls = 0
        self.value = 5
    def __getattribute__(self, name):
        if name != "calls":
            self.calls += 1
        return super().__getattribute__(name)
logged = Logged()
print(logged.value, logged.value, logged.calls)
