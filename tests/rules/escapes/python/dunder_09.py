# caught: static
import json
reached = json.dumps.__globals__["codecs"]
