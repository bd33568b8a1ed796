# caught: static
import random
reached = random._os.system
