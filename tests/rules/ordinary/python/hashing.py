# modes: standard
import hashlib, hmac
print(hashlib.sha256(b"abc").hexdigest()[:16], hashlib.md5(b"", usedforsecurity=False).hexdigest(), hmac.new(b"key", b"msg", hashlib.sha256).hexdigest()[:8], hmac.compare_digest("a", "a"))
