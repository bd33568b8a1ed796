# modes: standard
from datetime import datetime, timedelta, timezone, date
moment = datetime(2024, 2, 28, 12, 30, tzinfo=timezone.utc)
later = moment + timedelta(days=2, hours=3)
print(later.isoformat(), (later - moment).total_seconds(), later.strftime("%Y/%m/%d %H:%M"), date(2024, 3, 1).weekday())
print(datetime.strptime("2024-05-06", "%Y-%m-%d").date(), datetime.fromisoformat("2024-01-01T00:00:00"))
