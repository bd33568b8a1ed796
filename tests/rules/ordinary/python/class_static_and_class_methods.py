# modes: restricted standard
class Date:
    def __init__(self, year, month, day):
        self.parts = (year, month, day)
    @classmethod
    def parse(cls, text):
        return cls(*map(int, text.split("-")))
    @staticmethod
    def is_leap(year):
        return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
print(Date.parse("2024-02-29").parts, Date.is_leap(1900), Date.is_leap(2000))
