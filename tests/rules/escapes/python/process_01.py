# caught: static
import os, sys
reached = os.spawnv(os.P_WAIT, sys.executable, ["python3", "-c", ""]) == 0
