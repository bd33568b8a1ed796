# modes: standard
import io
text = io.StringIO("one\ntwo\n")
print([line.strip() for line in text], io.BytesIO(b"abc").read(2))
out = io.StringIO()
print("to memory", file=out)
print(repr(out.getvalue()))
