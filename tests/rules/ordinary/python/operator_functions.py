# modes: standard
import operator
from operator import itemgetter, attrgetter, methodcaller
rows = [{"n": 3, "s": "c"}, {"n": 1, "s": "a"}]
class P:
    def __init__(self, x):
        self.x = x
print(sorted(rows, key=itemgetter("n"))[0]["s"], operator.add(1, 2), [attrgetter("x")(P(5))], methodcaller("upper")("abc"), itemgetter(1, 0)("ab"), operator.mul(3, 4))
