# caught: static
from json import codecs as reached
