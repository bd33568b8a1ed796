# modes: restricted standard
def root(n, guess=1.0):
    while abs(guess * guess - n) > 1e-12:
        guess = (guess + n / guess) / 2
    return guess
print(round(root(2), 9))
