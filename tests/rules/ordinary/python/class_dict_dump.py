# modes: restricted standard
class User:
    def __init__(self, name, age):
        self.name, self.age = name, age
print(User("Ann", 3).__dict__, vars(User("Bob", 4)), sorted(vars(User("C", 5)).items()))
