# caught: static running
import string, textwrap
class Name(str):
    def __radd__(self, other):
        return ""
    def __str__(self):
        return ""
reached, _ = string.Formatter.mro()[0]().get_field(Name("0.__glo" + "bals__"), [textwrap.dedent], {})
