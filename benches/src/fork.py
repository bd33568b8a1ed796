"""Forks a child for each request, without any isolation: what a template is compared with."""

import array
import importlib
import os
import signal
import socket
import sys
import types

for name in sys.argv[1:]:
    importlib.import_module(name)
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
requests = socket.socket(fileno=0)
requests.send(b"ready")
while True:
    source, ancillary, _, _ = requests.recvmsg(65536, 64)
    if not source:
        break
    output = array.array("i", ancillary[0][2])[0]
    if os.fork() == 0:
        os.dup2(output, 1)
        os.close(output)
        module = types.ModuleType("__main__")
        exec(compile(source, "/work/main.py", "exec"), module.__dict__)
        sys.stdout.flush()
        requests.send(b"\0")
        os._exit(0)
    os.close(output)
