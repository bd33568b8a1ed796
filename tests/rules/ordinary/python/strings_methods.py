# modes: restricted standard
text = "  The Quick brown fox  "
print(text.strip().title(), text.split(), text.replace("o", "0").strip(), text.strip().partition(" "))
print("a,b,,c".split(","), "-".join("abc"), "x".center(5, "*"), "abc".startswith(("a", "z")), "42".zfill(5))
