# modes: restricted standard
class Ready:
    def __init__(self, value):
        self.value = value
    def __await__(self):
        yield
        return self.value
async def add():
    return await Ready(1) + await Ready(2)
task = add()
try:
    while True:
        task.send(None)
except StopIteration as stop:
    print(stop.value)
