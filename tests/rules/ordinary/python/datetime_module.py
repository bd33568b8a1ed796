# modes: standard
import datetime
print(datetime.date(2020, 2, 29).replace(day=1), datetime.time(1, 2, 3), datetime.timedelta(minutes=90))
