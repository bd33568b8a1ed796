# modes: standard
import math
print(math.sqrt(2), math.pi, math.gcd(12, 18), math.factorial(6), math.comb(5, 2), math.isclose(0.1 + 0.2, 0.3), math.hypot(3, 4), math.floor(-1.5))
