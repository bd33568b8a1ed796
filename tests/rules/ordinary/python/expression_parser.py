# modes: restricted standard
class Parser:
    def __init__(self, text):
        self.text, self.at = text.replace(" ", ""), 0
    def peek(self):
        return self.text[self.at:self.at + 1]
    def take(self):
        c = self.peek()
        self.at += 1
        return c
    def number(self):
        if self.peek() == "(":
            self.take()
            value = self.sum()
            self.take()
            return value
        digits = ""
        while self.peek().isdigit():
            digits += self.take()
        return int(digits)
    def product(self):
        value = self.number()
        while self.peek() in ("*", "/") and self.peek():
            value = value * self.number() if self.take() == "*" else value // self.number()
        return value
    def sum(self):
        value = self.product()
        while self.peek() in ("+", "-") and self.peek():
            value = value + self.product() if self.take() == "+" else value - self.product()
        return value
print(Parser("2 * (3 + 4) - 10 / 5").sum())
