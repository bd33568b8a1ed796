# modes: restricted standard
class Record:
    def __init__(self, **fields):
        self.fields = fields
    def __getattr__(self, name):
        try:
            return self.fields[name]
        except KeyError:
            raise AttributeError(name) from None
record = Record(name="Ada", born=1815)
print(record.name, record.born, hasattr(record, "died"), getattr(record, "died", "unknown"))
