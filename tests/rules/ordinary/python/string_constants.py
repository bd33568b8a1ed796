# modes: standard
import string
print(string.ascii_lowercase, string.digits, string.Template("Hi $name, ${n}").substitute(name="Bo", n=3), string.capwords("a bc d"))
