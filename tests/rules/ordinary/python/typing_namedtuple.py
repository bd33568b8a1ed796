# modes: standard
from typing import NamedTuple
class Employee(NamedTuple):
    name: str
    id: int = 3
    def label(self):
        return f"{self.name}#{self.id}"
print(Employee("Guido").label(), Employee("A", 1) < Employee("B", 0), Employee._field_defaults)
