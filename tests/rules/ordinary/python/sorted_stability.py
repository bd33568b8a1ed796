# modes: restricted standard
words = ["bb", "a", "cc", "d", "aaa"]
print(sorted(words, key=len), sorted(words, reverse=True), sorted(words, key=lambda w: (len(w), w[::-1])))
