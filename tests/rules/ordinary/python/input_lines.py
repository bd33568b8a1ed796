# modes: restricted standard
def ask(prompt, default):
    try:
        return input(prompt) or default
    except EOFError:
        return default
print(ask("name? ", "nobody"))
