# caught: static
import os, sys
reached = os.waitpid(os.posix_spawn(sys.executable, ["python3", "-c", ""], os.environ), 0)[1] == 0
