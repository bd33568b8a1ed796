# modes: standard
from datetime import datetime
from zoneinfo import ZoneInfo
moment = datetime(2024, 7, 1, 12, tzinfo=ZoneInfo("UTC"))
print(moment.utcoffset(), moment.tzname())
