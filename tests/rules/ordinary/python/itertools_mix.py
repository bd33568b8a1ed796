# modes: standard
import itertools
print(list(itertools.chain([1], [2])), list(itertools.islice(itertools.count(5, 5), 3)), list(itertools.combinations("abc", 2)), list(itertools.accumulate([1, 2, 3])))
for key, group in itertools.groupby("aabbb"):
    print(key, len(list(group)))
print(list(itertools.product([0, 1], repeat=2)), list(itertools.zip_longest("ab", "c", fillvalue="-")), len(list(itertools.permutations(range(4)))))
