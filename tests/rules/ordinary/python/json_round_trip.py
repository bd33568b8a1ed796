# modes: standard
import json
data = {"name": "Ada", "tags": ["x", "y"], "n": 1.5, "none": None, "ok": True}
text = json.dumps(data, indent=2, sort_keys=True)
print(text, json.loads(text) == data)
