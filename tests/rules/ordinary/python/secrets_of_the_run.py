# modes: restricted standard
import belljar
print(len(belljar.secrets), "TOKEN" in belljar.secrets, belljar.secrets.get("TOKEN", "none"))
