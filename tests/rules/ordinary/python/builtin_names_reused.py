# modes: restricted standard
def evaluate(list, id, type="x"):
    compile = [f"{type}{item}" for item in list]
    return compile, id
print(evaluate([1, 2], 3))
class Engine:
    def exec(self, program):
        return program[::-1]
    def eval(self):
        return 42
    def compile(self, text):
        return text.split()
engine = Engine()
print(engine.exec("abc"), engine.eval(), engine.compile("a b"))
