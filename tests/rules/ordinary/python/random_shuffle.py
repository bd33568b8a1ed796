# modes: standard
from random import Random
deck = list(range(10))
Random(1).shuffle(deck)
print(sorted(deck) == list(range(10)), deck != list(range(10)))
