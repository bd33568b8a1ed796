# modes: standard
import html
from html.parser import HTMLParser
print(html.escape("<a href='x'>&"), html.unescape("&lt;&eacute;&gt;"))
class Links(HTMLParser):
    def __init__(self):
        super().__init__()
        self.links = []
    def handle_starttag(self, tag, attrs):
        if tag == "a":
            self.links.append(dict(attrs).get("href"))
parser = Links()
parser.feed("<p><a href='/one'>1</a><a href='/two'>2</a></p>")
print(parser.links)
