# modes: standard
from abc import ABC, abstractmethod
class Shape(ABC):
    @property
    @abstractmethod
    def area(self):
        ...
class Square(Shape):
    area = 4
try:
    Shape()
except TypeError:
    print("abstract")
print(Square().area, issubclass(Square, Shape))
