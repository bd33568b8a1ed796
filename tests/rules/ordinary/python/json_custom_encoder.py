# modes: standard
import json
from datetime import date
class Encoder(json.JSONEncoder):
    def default(self, value):
        if isinstance(value, date):
            return value.isoformat()
        return super().default(value)
print(json.dumps({"day": date(2024, 1, 2)}, cls=Encoder))
