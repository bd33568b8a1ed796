# modes: standard
class Visitor:
    def visit(self, node):
        method = getattr(self, f"visit_{type(node).__name__}", self.generic)
        return method(node)
    def visit_int(self, node):
        return f"int {node}"
    def visit_list(self, node):
        return [self.visit(each) for each in node]
    def generic(self, node):
        return f"other {node!r}"
print(Visitor().visit([1, "a", [2]]))
