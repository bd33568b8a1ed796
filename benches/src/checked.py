class Account:
    """What somebody has, and how it came to be."""

    rate = 0.02

    def __init__(self, owner, balance=0.0):
        self.owner = owner
        self.balance = balance
        self.history = []

    def deposit(self, amount, note=None):
        if amount <= 0:
            raise ValueError(f"cannot deposit {amount!r}")
        self.balance += amount
        self.history.append(("deposit", amount, note or "none"))
        return self.balance

    def interest(self, years):
        total = self.balance
        for year in range(1, years + 1):
            total *= 1 + self.rate
            yield year, round(total, 2)

    def __repr__(self):
        return f"{type(self).__name__}({self.owner}, {self.balance:.2f})"


def summary(accounts):
    rows = [(each.owner, each.balance) for each in accounts if each.balance > 0]
    widest = max((len(owner) for owner, _ in rows), default=0)
    for owner, balance in sorted(rows, key=lambda row: (-row[1], row[0])):
        print(owner.ljust(widest), "{:>10.2f}".format(balance), sep=" | ")
    return {owner: balance for owner, balance in rows}


accounts = [Account("ann", 10.5), Account("bob")]
accounts[1].deposit(3.25, note="gift")
print(summary(accounts), list(accounts[0].interest(3)))
