# modes: standard
import calendar
print(calendar.monthrange(2024, 2), calendar.isleap(2023), calendar.day_name[0])
print(calendar.TextCalendar().formatmonth(2024, 2).splitlines()[0].strip())
