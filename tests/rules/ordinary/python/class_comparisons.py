# modes: restricted standard
class Version:
    def __init__(self, text):
        self.parts = tuple(int(part) for part in text.split("."))
    def __lt__(self, other):
        return self.parts < other.parts
    def __eq__(self, other):
        return self.parts == other.parts
    def __str__(self):
        return ".".join(map(str, self.parts))
print([str(v) for v in sorted(map(Version, ["1.10", "1.2", "1.9.1"]))], max(map(Version, ["0.1", "0.20"])).parts)
