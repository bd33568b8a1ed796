# modes: standard
import cmath
a, b, c = 1, 2, 5
root = cmath.sqrt(b * b - 4 * a * c)
print((-b + root) / (2 * a), abs(cmath.exp(1j * cmath.pi) + 1) < 1e-12)
