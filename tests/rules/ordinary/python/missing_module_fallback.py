# modes: standard
def root(n):
    return n ** 0.5
try:
    import regex as engine
except ImportError:
    import re as engine
print(engine.match("a", "a") is not None, root(9))
