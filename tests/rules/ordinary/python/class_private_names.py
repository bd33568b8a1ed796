# modes: restricted standard
class Bank:
    def __init__(self):
        self.__balance = 10
    def __add(self, amount):
        self.__balance += amount
    def deposit(self, amount):
        self.__add(amount)
        return self.__balance
print(Bank().deposit(5))
