# modes: standard
from collections.abc import Mapping, Iterable, Sequence
import collections.abc
class Squares(Sequence):
    def __len__(self):
        return 5
    def __getitem__(self, at):
        if not 0 <= at < 5:
            raise IndexError(at)
        return at * at
print(list(Squares()), 9 in Squares(), Squares().index(4), isinstance({}, Mapping), isinstance([], Iterable), isinstance({}, collections.abc.MutableMapping))
