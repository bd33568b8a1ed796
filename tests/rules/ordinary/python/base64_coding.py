# modes: standard
import base64, binascii
coded = base64.b64encode("grüße".encode())
print(coded, base64.b64decode(coded).decode(), base64.urlsafe_b64encode(b"\xff\xfe"), binascii.hexlify(b"ab"), binascii.crc32(b"abc"))
