# caught: static
import subprocess
reached = subprocess.run(["true"]).returncode == 0
