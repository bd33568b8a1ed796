# modes: standard
import secrets
print(len(secrets.token_hex(8)), secrets.choice([5]), secrets.compare_digest(b"a", b"b"), secrets.randbelow(1))
