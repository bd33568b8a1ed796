# modes: standard
import colorsys
print(tuple(round(c, 3) for c in colorsys.rgb_to_hsv(1, 0.5, 0)))
