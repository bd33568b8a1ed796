# caught: static
import os
reached = os.system("true") == 0
