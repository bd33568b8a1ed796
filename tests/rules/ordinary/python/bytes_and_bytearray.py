# modes: restricted standard
data = bytearray(b"hello")
data[0] = ord("J")
data += b"!"
print(bytes(data), data.hex(), bytes.fromhex("00ff"), int.from_bytes(b"\x01\x00", "big"), (258).to_bytes(2, "little"))
view = memoryview(data)
print(bytes(view[1:3]))
