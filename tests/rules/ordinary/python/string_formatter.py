# modes: standard
import string
class Upper(string.Formatter):
    def format_field(self, value, spec):
        return super().format_field(value, spec).upper()
print(Upper().format("{0} {name}", "a", name="b"), string.Formatter().format("{0.real} {1[k]}", 3, {"k": "v"}))
