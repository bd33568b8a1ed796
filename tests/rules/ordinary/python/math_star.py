# modes: standard
from math import *
print(round(e, 4), ceil(1.2), sqrt(16))
