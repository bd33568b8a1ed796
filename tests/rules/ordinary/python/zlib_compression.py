# modes: standard
import zlib
data = b"abc" * 100
packed = zlib.compress(data)
print(len(packed) < len(data), zlib.decompress(packed) == data, zlib.adler32(b"x"))
