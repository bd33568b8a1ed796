# modes: restricted standard
def roman(number):
    pairs = [(1000, "M"), (900, "CM"), (500, "D"), (400, "CD"), (100, "C"), (90, "XC"), (50, "L"), (40, "XL"),
             (10, "X"), (9, "IX"), (5, "V"), (4, "IV"), (1, "I")]
    text = ""
    for value, sign in pairs:
        while number >= value:
            text, number = text + sign, number - value
    return text
print([roman(n) for n in (1994, 2024, 49)])
