# modes: restricted standard
def eval(tokens):
    return sum(int(t) for t in tokens.split("+"))
print(eval("1+2+3"))
