# modes: restricted standard
# eval, exec, __import__("os"), subprocess and __globals__ are only words here.
text = "Never call eval() or exec(); __import__ and os.system are not for you; __subclasses__ neither."
note = """import os; os.system('rm -rf /')"""
print(len(text), "eval" in text, note.split(";")[0], {"__globals__ of": 1})
