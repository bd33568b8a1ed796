# modes: restricted standard
groups = {}
for word in ["eat", "tea", "tan", "ate", "nat", "bat"]:
    groups.setdefault("".join(sorted(word)), []).append(word)
print(sorted(groups.values(), key=len, reverse=True))
