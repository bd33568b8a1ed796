# modes: restricted standard
value, width = 1234.5678, 12
print(f"{value:>{width}.2f}|{value!r}|{value=}|{'nested'!s:^10}|{{literal}}|{1 if value else 2}")
