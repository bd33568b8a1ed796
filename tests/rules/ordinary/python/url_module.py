# modes: standard
import urllib.parse
print(urllib.parse.quote_plus("a b&c"), urllib.parse.unquote("%41"))
