# modes: standard
from dataclasses import dataclass, field
from decimal import Decimal
@dataclass
class Account:
    owner: str
    balance: Decimal = Decimal("0")
    history: list = field(default_factory=list)
    def deposit(self, amount):
        self.balance += Decimal(amount)
        self.history.append(("deposit", amount))
    def withdraw(self, amount):
        if Decimal(amount) > self.balance:
            raise ValueError("insufficient funds")
        self.balance -= Decimal(amount)
account = Account("Ann")
account.deposit("100.50")
account.withdraw("0.25")
try:
    account.withdraw("1000")
except ValueError as error:
    print(error)
print(account)
