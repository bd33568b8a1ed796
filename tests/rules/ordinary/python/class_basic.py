# modes: restricted standard
class Dog:
    kind = "canine"
    def __init__(self, name):
        self.name = name
    def speak(self):
        return f"{self.name} says woof"
dog = Dog("Rex")
print(dog.speak(), Dog.kind, dog.__class__.__name__)
