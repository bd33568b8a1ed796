# modes: restricted standard
def gcd(a, b):
    while b:
        a, b = b, a % b
    return a
print(gcd(84, 36), 84 * 36 // gcd(84, 36))
