# modes: restricted standard
def tokens(text):
    at = 0
    while at < len(text):
        c = text[at]
        if c.isspace():
            at += 1
        elif c.isdigit():
            end = at
            while end < len(text) and text[end].isdigit():
                end += 1
            yield "number", text[at:end]
            at = end
        else:
            yield "sign", c
            at += 1
print(list(tokens("12+(3 * 45)")))
