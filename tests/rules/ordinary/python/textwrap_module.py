# modes: standard
import textwrap
print(textwrap.fill("the quick brown fox jumps over the lazy dog", width=20))
print(textwrap.dedent("    a\n      b\n"), textwrap.shorten("many words here", width=12), textwrap.indent("x\ny", "> "))
