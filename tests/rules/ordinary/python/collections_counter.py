# modes: standard
from collections import Counter, defaultdict, deque, OrderedDict, ChainMap
print(Counter("mississippi").most_common(2), Counter(a=1) + Counter(a=2, b=1))
groups = defaultdict(list)
for word in ("apple", "avocado", "bean"):
    groups[word[0]].append(word)
print(dict(groups), deque([1, 2, 3], maxlen=2), list(OrderedDict(a=1).items()), ChainMap({"a": 1}, {"a": 2, "b": 3})["b"])
