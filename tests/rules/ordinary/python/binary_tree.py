# modes: restricted standard
class Tree:
    def __init__(self):
        self.root = None
    def add(self, value):
        self.root = self._add(self.root, value)
    def _add(self, node, value):
        if node is None:
            return [value, None, None]
        side = 1 if value < node[0] else 2
        node[side] = self._add(node[side], value)
        return node
    def walk(self, node):
        if node:
            yield from self.walk(node[1])
            yield node[0]
            yield from self.walk(node[2])
tree = Tree()
for value in (5, 2, 8, 1, 9):
    tree.add(value)
print(list(tree.walk(tree.root)))
