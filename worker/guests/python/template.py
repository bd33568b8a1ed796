"""A trusted interpreter that is forked into a fresh jar per run: ``template.py LIBRARY [MODULE ...]``.

The template imports, warms up and then only forks, inside one native call; user code runs in its
children, each in its own jar, and finds what a cold ``python3 /work/main.py`` would have found, but
for the few frames of ours below its own.
"""

# A script's own namespace, before anything is added: which names it has depends on the version.
_SCRIPT = dict(globals())

import atexit, ctypes, fcntl, gc, importlib.machinery, io, itertools, os, random  # noqa: E401
import signal, sys, threading, time, types, weakref  # noqa: E401
from os import _exit, close, fstat, getpid, kill, write

import belljar

_SHARED, _OWN = vars(_SCRIPT["__builtins__"]), globals()
# What the functions below find, whatever a script does to the builtins of everybody.
__builtins__ = dict(_SHARED)

_LINE = 3
# Compiled once, for every child that is to run it.
_GUESTS = ("/run/belljar/guard.py", "/run/belljar/guest.py", "/run/belljar/stand_ins.py")
# Out of the way of user code, and below 64, where the kernel's first descriptor table ends.
_ASIDE = 63
_WRITERS = (io.TextIOWrapper, io.BufferedWriter, io.BufferedRandom)
_PLAIN = frozenset((dict, list, tuple, set, frozenset, type, property, staticmethod, classmethod, type(lambda: 0),
                    type((lambda x: lambda: x)(0).__closure__[0]), type(len), types.ModuleType, types.MethodType,
                    importlib.machinery.SourceFileLoader, importlib.machinery.ModuleSpec))
_FORGOTTEN = ("path", "argv", "last_exc", "last_type", "last_value", "last_traceback",
              "path_hooks", "path_importer_cache", "meta_path")


def main(library, names):
    fcntl.fcntl(_LINE, fcntl.F_SETFD, fcntl.FD_CLOEXEC)
    reseeders = _import(names)
    native, length = ctypes.PyDLL(library), ctypes.c_size_t()
    native.belljar_await_task.restype = ctypes.c_void_p
    run = _Run()
    run.warm_up()
    write(_LINE, b"ready")
    ctypes.pythonapi.PyOS_BeforeFork()
    side = native.belljar_template_serve()
    if side == 1:
        _exit(0)
    ctypes.pythonapi.PyOS_AfterFork_Child()
    fcntl.fcntl(_LINE, fcntl.F_SETFD, fcntl.FD_CLOEXEC)
    for reseed in reseeders:
        reseed()
    _restart_modules()
    run.process, run.inode = getpid(), fstat(_LINE).st_ino
    if side == 0:
        # Nobody waits: what it costs to write to fresh pages is better paid now.
        run.warm_up()
    gc.enable()
    write(_LINE, b"ready")
    address = native.belljar_await_task(ctypes.byref(length))
    if address:
        run.serve(ctypes.string_at(address, length.value))
    _exit(70)


def _import(names):
    """Imports what children shall find loaded; returns what gives each its own random numbers."""
    explicit, seed = weakref.WeakSet(), random.Random.seed

    def noted(self, a=None, *rest, **named):
        (explicit.discard if a is None else explicit.add)(self)
        return seed(self, a, *rest, **named)

    random.Random.seed = noted
    for name in ("site", *names):
        try:
            importlib.import_module(name)
            if len(os.listdir("/proc/self/task")) > 1:
                raise ImportError("it started a thread")
        except BaseException as error:
            reason = f"!cannot import {name}: {str(error) or type(error).__name__}"
            write(_LINE, " ".join(reason.split())[:500].encode("utf-8", "replace"))
            _exit(1)
    random.Random.seed = seed
    certifi = sys.modules.get("certifi.core")
    if hasattr(certifi, "exit_cacert_ctx"):
        # Removes a temporary copy, which goes with the jar anyhow.
        atexit.unregister(certifi.exit_cacert_ctx)
    # Whoever named a seed gets the same numbers in every cold run too.
    return list(_reseeders(explicit))


def _reseeders(explicit):
    for each in gc.get_objects():
        # The functions of `random` reseed themselves after a fork.
        if isinstance(each, random.Random) and each not in explicit and each is not random._inst:
            yield each.seed
    numpy = sys.modules.get("numpy.random")
    if numpy is None:
        return
    kinds = (numpy.RandomState, numpy.Generator, numpy.BitGenerator)
    for each in [numpy.mtrand._rand, *(each for each in gc.get_objects() if isinstance(each, kinds))]:
        each = getattr(each, "_bit_generator", each)
        entropy = getattr(getattr(each, "seed_seq", getattr(each, "_seed_seq", None)), "entropy", None)
        # Entropy of the system has 128 bits; what has fewer, or none, was named by somebody.
        if isinstance(entropy, int) and entropy >> 64:
            yield lambda each=each: setattr(each, "state", type(each)().state)


def _restart_modules():
    """What is made once per process: a process id tells nothing apart, for every jar counts from one."""
    threading.main_thread()._native_id = threading.get_native_id()
    for name, attribute, value in (
        ("logging", "_startTime", time.time_ns() if sys.version_info >= (3, 13) else time.time()),
        ("multiprocessing.process", "ORIGINAL_DIR", os.getcwd()),
        ("tempfile", "_name_sequence", None),
        ("tempfile", "tempdir", None),
        ("uuid", "_node", None),
    ):
        if name in sys.modules:
            setattr(sys.modules[name], attribute, value)
            if attribute == "ORIGINAL_DIR":
                sys.modules[name].current_process().authkey = os.urandom(32)
    if "_ssl" in sys.modules:
        # OpenSSL notices a fork by the process id.
        sys.modules["_ssl"].RAND_add(os.urandom(32), 32.0)


def _unpacked(record, at, each=1):
    """The fields of a record from there on, so many to each that is counted, and where they end."""
    count, at, fields = int.from_bytes(record[at:at + 4], "little"), at + 4, []
    for _ in range(each * count):
        start = at + 4
        at = start + int.from_bytes(record[at:start], "little")
        fields.append(record[start:at])
    return fields, at


def _packed(fields, count):
    return b"".join((count.to_bytes(4, "little"), *(len(each).to_bytes(4, "little") + each for each in fields)))


class _Run:
    """The only request of a child: what can be had before it came, and the way to its end."""

    def __init__(self):
        self.process = self.inode = 0
        self.environment = _packed([each for pair in os.environb.items() for each in pair], len(os.environb))
        # Without the directory of this file, in whose place comes the script's.
        self.own = 0 if getattr(sys.flags, "safe_path", False) else 1
        self.path = sys.path[self.own:]
        self.compiled = _compiled_guests()
        self.modules, self.builtins = frozenset(sys.modules), len(_SHARED)
        # Letting go of what is shared with the template would copy the pages that hold it.
        self.held = (sys.path_importer_cache, sys.path_hooks, sys.meta_path)

    def warm_up(self):
        """Goes the way of a request, so that it writes to fewer fresh pages, and freezes the heap."""
        own, system = sys.modules["__main__"], dict(vars(sys))
        source = b"print(end='')"
        record = _packed([b"/dev/null"], 1) + self.environment + source + len(source).to_bytes(4, "little") + b"\xff" * 4
        for _ in range(2):
            arguments, source, _ = self.unpack(ctypes.string_at(record, len(record)))
            self.execute(arguments, source)
            exec(compile("class C:\n  def f(self, x): return [x]\nprint(*C().f(''), end='')\n", "<string>", "exec"), {})
            _flush()
            self.finalise({"__main__": sys.modules["__main__"]})
            vars(sys).update(system)
        sys.modules["__main__"] = own
        gc.collect()
        gc.freeze()
        gc.disable()

    def serve(self, record):
        arguments, source, secrets = self.unpack(record)
        if secrets >= 0:
            belljar._receive(secrets)
        try:
            line = fcntl.fcntl(_LINE, fcntl.F_DUPFD_CLOEXEC, _ASIDE)
            close(_LINE)
        except OSError:
            line = _LINE
        caught = self.execute(arguments, source)
        _flush(complain=False)
        if sys.gettrace() or sys.getprofile():
            sys.settrace(None)
            sys.setprofile(None)
        interrupted = type(caught) is KeyboardInterrupt
        status = 0 if caught is None else _report(caught)
        del caught
        status = self.finish(status)
        if interrupted:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            kill(getpid(), signal.SIGINT)
        _attempt(self.mark, line, status)
        _exit(status)

    def mark(self, line, status):
        """Not from a child that user code forked, nor into a file it has in place of the line."""
        if getpid() == self.process and fstat(line).st_ino == self.inode:
            # Whoever reads the books of this process finds them up to date.
            time.process_time()
            write(line, bytes((status,)))

    def unpack(self, record):
        """Sets the environment; returns arguments, source, and the descriptor of the secrets, if any."""
        arguments, at = _unpacked(record, 0)
        end = -8 - int.from_bytes(record[-8:-4], "little")
        if record[at:end] != self.environment:
            own = lambda: [os.path.abspath(each) for each in os.environ.get("PYTHONPATH", "").split(":") if each]
            before = own()
            fields, _ = _unpacked(record, at, each=2)
            os.environb.clear()
            os.environb.update(zip(fields[::2], fields[1::2]))
            time.tzset()
            self.path = list(dict.fromkeys(own() + [each for each in self.path if each not in before]))
        secrets = int.from_bytes(record[-4:], "little", signed=True)
        return [os.fsdecode(each) for each in arguments], record[end:-8], secrets

    def execute(self, arguments, source):
        """Runs the script as the module it is; returns what it raised."""
        entry = arguments[0]
        sys.modules["__main__"] = types.ModuleType("__main__")
        namespace = vars(sys.modules["__main__"])
        loader = importlib.machinery.SourceFileLoader("__main__", entry)
        namespace.update(_SCRIPT, __doc__=None, __loader__=loader, __file__=entry)
        if entry == _GUESTS[0]:
            # What it runs in its turn are the others.
            namespace["_compiled"] = self.compiled
        sys.argv = arguments
        if hasattr(sys, "orig_argv"):
            sys.orig_argv = [sys.orig_argv[0], *arguments]
        sys.path = [os.path.dirname(entry)][:self.own] + self.path
        # Without a source it was too large to travel with the task, or is not there.
        return _attempt(lambda: exec(self.code(source, entry, loader), namespace))

    def code(self, source, entry, loader):
        if entry in self.compiled:
            return self.compiled[entry]
        return compile(source or loader.get_data(entry), entry, "exec", 0, True)

    def finish(self, status):
        """What happens between the end of a script and the end of its interpreter; returns the status."""
        # Without other threads and hooks there is nothing to wait for, and waiting has its price.
        if len(threading._active) > 1 or threading._threading_atexits:
            _ignore(_attempt(threading._shutdown), threading, "threading shutdown")
        _attempt(atexit._run_exitfuncs)
        clean = _flush()
        # What has no finaliser can be left to the kernel: nobody could tell.
        if not _PLAIN.issuperset(map(type, gc.get_objects())):
            gc.collect()
            self.finalise(sys.modules)
            for each in gc.get_objects():
                if type(each) in _WRITERS:
                    _attempt(each.flush)
            clean = _flush(complain=False) and clean
        return status if clean else 120

    def finalise(self, modules):
        """Lets go of the script's modules in the interpreter's own order: finalisers tell."""
        vars(sys).update({name: None for name in _FORGOTTEN if name in vars(sys)})
        sys.stdin, sys.stdout, sys.stderr = sys.__stdin__, sys.__stdout__, sys.__stderr__
        # From the end, where what is new is: a look at every name would copy the pages that hold them.
        leaving = [*itertools.takewhile(lambda name: name not in self.modules, reversed(modules)), "__main__"]
        alive = [weakref.ref(modules[name]) for name in leaving if type(modules.get(name)) is types.ModuleType]
        modules.update(dict.fromkeys(reversed(leaving)))
        for name in leaving:
            modules.pop(name, None)
        # The lines of a source are not shown any more, for which a cold run has these gone.
        modules["io"] = modules["traceback"] = None
        gc.collect()
        for module in filter(None, (reference() for reference in alive)):
            namespace = vars(module)
            # Names of one underscore first, as the interpreter does.
            for name in sorted(map(str, namespace), key=lambda name: name[:1] != "_" or name[1:2] == "_"):
                if name != "__builtins__":
                    namespace[name] = None
        gc.collect()
        while len(_SHARED) > self.builtins:
            _SHARED.popitem()


def _compiled_guests():
    """The code of the guests that the runtime has, and what they import."""
    compiled = {}
    for path in _GUESTS:
        try:
            with open(path, "rb") as file:
                compiled[path] = compile(file.read(), path, "exec", 0, True)
        except OSError:
            continue
    for name in ("ast", "json", "linecache", "queue", "traceback", "warnings") if compiled else ():
        importlib.import_module(name)
    return compiled


def _attempt(action, *arguments):
    """Returns what a call raised, with no frame of ours in its traceback."""
    try:
        action(*arguments)
    except BaseException as error:
        # No variable: a frame that its traceback holds would hold the traceback.
        while error.__traceback__ and error.__traceback__.tb_frame.f_globals is _OWN:
            error.__traceback__ = error.__traceback__.tb_next
        return error


def _report(caught, display=sys.__excepthook__):
    """Prints an uncaught exception; returns the exit status."""
    if isinstance(caught, SystemExit):
        code = getattr(caught, "code", caught)
        if code is None or isinstance(code, int):
            return (code or 0) & 255 if -(1 << 63) <= (code or 0) < 1 << 63 else 255
        _say(code)
        _say("\n")
        return 1
    sys.last_type, sys.last_value, sys.last_traceback = details = type(caught), caught, caught.__traceback__
    if sys.version_info >= (3, 12):
        sys.last_exc = caught
    if not hasattr(sys, "excepthook"):
        _say("sys.excepthook is missing\n")
        sys.excepthook = display
    second = _attempt(sys.excepthook, *details)
    if isinstance(second, SystemExit):
        return _report(second)
    if second is not None:
        _say("Error in sys.excepthook:\n")
        _attempt(display, type(second), second, second.__traceback__)
        _say("\nOriginal exception was:\n")
        _attempt(display, *details)
    return 1


def _say(text):
    _attempt(lambda: sys.stderr.write(str(text)))


def _flush(complain=True):
    """Flushes what prints; returns whether all of it could be."""
    clean = True
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name, None)
        caught = None if stream is None else _attempt(lambda: getattr(stream, "closed", False) or stream.flush())
        clean = clean and caught is None
        if complain and name == "stdout":
            _ignore(caught, stream, "flushing sys.stdout")
    return clean


def _ignore(caught, place, action, display=sys.__excepthook__):
    """Says what the interpreter says about an exception that nobody can catch."""
    if caught is not None:
        where = f"on {action}:" if sys.version_info >= (3, 13) else f"in: {place!r}"
        _say(f"Exception ignored {where}\n")
        _attempt(display, type(caught), caught, caught.__traceback__)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
