import ctypes, os, signal, socket, sys


def tries(what, action):
    try:
        if action() is not False:
            print("HOST", what)
    except BaseException:
        pass


def connects():
    with socket.create_connection(("127.0.0.1", int(sys.argv[2])), 1):
        return True


def reads(path):
    with open(path) as file:
        return bool(file.read())


def writes(path):
    with open(path, "w") as file:
        file.write("x")


tries("file", lambda: reads(sys.argv[1]))
tries("file by way of process 1", lambda: reads("/proc/1/root" + sys.argv[1]))
tries("network", connects)
tries("root", lambda: os.setuid(0))
tries("/etc", lambda: writes("/etc/belljar-was-here"))
tries("/usr", lambda: writes("/usr/belljar-was-here"))
tries("other processes", lambda: len([each for each in os.listdir("/proc") if each.isdigit()]) > 8)
tries("kill", lambda: os.kill(os.getppid(), signal.SIGKILL))
print("TRIED", flush=True)
# These may end the run at once.
libc = ctypes.CDLL(None, use_errno=True)
tries("mount", lambda: libc.mount(b"none", b"/tmp", b"tmpfs", 0, None) == 0)
tries("namespace", lambda: libc.unshare(0x10000000) == 0)
tries("host name", lambda: libc.sethostname(b"x", 1) == 0)
