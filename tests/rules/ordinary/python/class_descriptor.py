# modes: restricted standard
class Positive:
    def __set_name__(self, owner, name):
        self.name = "_" + name
    def __get__(self, instance, owner=None):
        return self if instance is None else getattr(instance, "_amount", 0)
    def __set__(self, instance, value):
        if value < 0:
            raise ValueError("negative")
        instance._amount = value
class Account:
    amount = Positive()
account = Account()
account.amount = 5
try:
    account.amount = -1
except ValueError as error:
    print(error)
print(account.amount)
