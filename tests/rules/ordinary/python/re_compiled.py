# modes: standard
import re
pattern = re.compile(r"(?P<key>\w+)\s*=\s*(?P<value>[^;]+)", re.IGNORECASE | re.VERBOSE)
for match in pattern.finditer("a = 1; b= two"):
    print(match.group("key"), match["value"].strip(), match.span(), match.groupdict())
print(re.split(r"[,;]\s*", "a, b;c"), bool(re.fullmatch(r"\d{3}", "123")))
