# modes: restricted standard
def shift(text, by):
    out = []
    for c in text:
        base = ord("A") if c.isupper() else ord("a")
        out.append(chr((ord(c) - base + by) % 26 + base) if c.isalpha() else c)
    return "".join(out)
secret = shift("Hello, World!", 3)
print(secret, shift(secret, -3))
