# modes: standard
import re
from collections import Counter
LOG = """10.0.0.1 GET /a 200
10.0.0.2 GET /b 404
10.0.0.1 POST /a 500"""
line = re.compile(r"(\S+) (\w+) (\S+) (\d+)")
rows = [line.match(text).groups() for text in LOG.splitlines()]
print(Counter(row[0] for row in rows).most_common(1), sorted({row[3] for row in rows if row[3] >= "400"}))
