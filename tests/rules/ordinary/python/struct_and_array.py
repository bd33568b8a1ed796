# modes: standard
import struct, array
packed = struct.pack("<Hi", 7, -1)
print(packed, struct.unpack("<Hi", packed), struct.calcsize("<d"), array.array("i", [1, 2, 3]).tolist())
