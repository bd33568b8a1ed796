# modes: restricted standard
class Node:
    def __init__(self, value, rest=None):
        self.value, self.rest = value, rest
    def __iter__(self):
        node = self
        while node:
            yield node.value
            node = node.rest
def reverse(node):
    previous = None
    while node:
        node.rest, previous, node = previous, node, node.rest
    return previous
print(list(reverse(Node(1, Node(2, Node(3))))))
