# modes: standard
import copy
class Node:
    def __init__(self, items):
        self.items = items
    def __deepcopy__(self, memo):
        return Node(copy.deepcopy(self.items, memo))
original = Node([[1], [2]])
shallow, deep = copy.copy(original), copy.deepcopy(original)
original.items[0].append(9)
print(shallow.items, deep.items)
