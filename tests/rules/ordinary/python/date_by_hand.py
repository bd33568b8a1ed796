# modes: restricted standard
def weekday(year, month, day):
    offsets = [0, 3, 2, 5, 0, 3, 5, 1, 4, 6, 2, 4]
    year -= month < 3
    return (year + year // 4 - year // 100 + year // 400 + offsets[month - 1] + day) % 7
print(["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"][weekday(2024, 2, 29)])
