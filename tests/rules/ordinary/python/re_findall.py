# modes: standard
import re
text = "Mail ann@example.org or bob@test.com by 2024-01-15."
print(re.findall(r"[\w.]+@[\w.]+\w", text), re.sub(r"(\d+)-(\d+)-(\d+)", r"\3/\2/\1", text))
