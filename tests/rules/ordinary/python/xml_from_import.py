# modes: standard
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, tostring
print(tostring(Element("a", {"b": "c"})), ElementTree.fromstring("<x><y/></x>")[0].tag)
