# modes: restricted standard
größe = 3
π = 3.14159
def fläche(radius):
    return π * radius ** 2
print(größe, round(fläche(2), 3))
