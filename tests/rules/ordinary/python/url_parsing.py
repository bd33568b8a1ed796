# modes: standard
from urllib.parse import urlparse, urlencode, quote, parse_qs, urljoin
parts = urlparse("https://user@example.org:8080/a/b?x=1&y=2#top")
print(parts.hostname, parts.port, parts.path, parse_qs(parts.query), urlencode({"q": "a b", "n": 1}), quote("ä/ö"), urljoin("http://x/a/", "../b"))
