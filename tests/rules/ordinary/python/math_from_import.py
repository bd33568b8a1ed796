# modes: standard
from math import sin, cos, radians as rad
print(round(sin(rad(30)), 6), round(cos(rad(60)), 6))
