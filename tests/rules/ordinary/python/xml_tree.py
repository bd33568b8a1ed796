# modes: standard
import xml.etree.ElementTree as ET
root = ET.fromstring("<shop><item price='3'>nut</item><item price='5'>bolt</item></shop>")
print([(item.text, int(item.get("price"))) for item in root.findall("item")], root.find("item[@price='5']").text)
ET.SubElement(root, "item", price="1").text = "pin"
print(ET.tostring(root, encoding="unicode"))
