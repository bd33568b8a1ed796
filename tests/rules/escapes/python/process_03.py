# caught: static
import subprocess, sys
reached = subprocess.run([sys.executable, "-c", ""]).returncode == 0
