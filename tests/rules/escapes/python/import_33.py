# caught: static
try:
    with open("os.py", "w") as file:
        file.write("x = 1")
except OSError:
    pass
import os as got
reached = got
