# modes: standard
import numbers
print(isinstance(1, numbers.Integral), isinstance(1.5, numbers.Real), isinstance("1", numbers.Number))
