"""A trusted interpreter that is forked into a fresh jar per run: ``template.py LIBRARY [MODULE ...]``.

The template imports, warms up and then only forks, inside one native call; user code runs in its
children, each in its own jar, and finds what a cold ``python3 /work/main.py`` would have found.
"""

import sys

# A script's own namespace, before anything is added: which names it has depends on the version.
_SCRIPT = tuple(name for name in globals() if name != "sys")

import atexit
import ctypes
import gc
import importlib
import importlib.machinery
import io
import operator
import linecache  # noqa: F401  what printing a traceback needs
import os
import random
import struct
import threading
import time
import traceback  # noqa: F401
import types
import warnings
import weakref
from builtins import BaseException, KeyboardInterrupt, OSError, SystemExit, bytes, compile, dict, exec
from builtins import getattr, int, isinstance, len, list, range, reversed, str, type, zip
from builtins import callable as _callable
from functools import partial as _partial
from fcntl import F_DUPFD_CLOEXEC, F_SETFD, FD_CLOEXEC, fcntl
from os import _exit, close, fstat, getpid, open, putenv, read, unsetenv, write
from signal import SIG_DFL, SIGINT, signal

import belljar

_LINE = 3
# Out of the way of user code, whose first descriptor is 3 as in a cold run, and below 64, where the
# kernel's first descriptor table ends.
_ASIDE = 63
_collect, _enabled, _objects = gc.collect, gc.isenabled, gc.get_objects
_exit_functions, _time = atexit._run_exitfuncs, time.time
_Module, _reference, _kill = types.ModuleType, weakref.ref, os.kill
_Loader = importlib.machinery.SourceFileLoader
_gettrace, _settrace, _getprofile, _setprofile = sys.gettrace, sys.settrace, sys.getprofile, sys.setprofile
_builtins = sys.modules["builtins"].__dict__
_BUILTINS = len(_builtins)
_display, _system = sys.__excepthook__, sys.__dict__
_flush = operator.methodcaller("flush")
_number = struct.Struct("<I").unpack_from
_modules, _environment = sys.modules, os.environ._data
_WRITERS = frozenset((io.TextIOWrapper, io.BufferedWriter, io.BufferedRandom))
_FILE_INPUT = 257
_FLUSHING = f"Exception ignored {'while' if sys.version_info >= (3, 14) else 'on'} flushing sys.stdout"
_FORGOTTEN = (
    "path", "argv", "ps1", "ps2", *(("last_exc",) if sys.version_info >= (3, 12) else ()), "last_type",
    "last_value", "last_traceback", "path_hooks", "path_importer_cache", "meta_path", "__interactivehook__",
)
_run_file = ctypes.pythonapi.PyRun_FileExFlags
_run_file.restype, _run_file.argtypes = ctypes.py_object, (
    ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.py_object, ctypes.py_object, ctypes.c_int, ctypes.c_void_p,
)
_open_file = ctypes.CDLL(None).fopen
_open_file.restype, _open_file.argtypes = ctypes.c_void_p, (ctypes.c_char_p, ctypes.c_char_p)


def _unraisable_type():
    """The interpreter shows the type of what its hook is called with only to a hook."""
    class Raising:
        def __del__(self):
            raise ValueError

    seen, hook = [], sys.unraisablehook
    sys.unraisablehook = lambda details: seen.append(type(details))
    Raising()
    sys.unraisablehook = hook
    return seen[0]


_Unraisable = _unraisable_type()


class _Slot:
    """Stands in where the interpreter's own record of its stack is out of reach."""

    value = 0


_word = ctypes.c_void_p.from_address
_base, _at, _depth, _top = None, 0, _Slot(), 0


def main(library, names):
    fcntl(_LINE, F_SETFD, FD_CLOEXEC)
    reseed = _imported(names)
    lib, api = ctypes.PyDLL(library), ctypes.pythonapi
    task = lib.belljar_await_task
    task.restype, task.argtypes = ctypes.c_void_p, (ctypes.c_void_p,)
    length = ctypes.c_size_t()
    where = ctypes.byref(length)
    _find_stack(api)
    prepared = _Prepared()
    _warm_up(prepared)
    gc.collect()
    gc.freeze()
    gc.disable()
    write(_LINE, b"ready")
    api.PyOS_BeforeFork()
    if lib.belljar_template_serve() != 0:
        _exit(0)
    api.PyOS_AfterFork_Child()
    fcntl(_LINE, F_SETFD, FD_CLOEXEC)
    _open_streams()
    for action in reseed:
        action()
    prepared.inode = fstat(_LINE).st_ino
    _warm_up(prepared)
    gc.collect()
    gc.freeze()
    gc.enable()
    write(_LINE, b"ready")
    address = task(where)
    if not address:
        _exit(70)
    _serve(ctypes.string_at(address, length.value), prepared)


def _imported(names):
    """Imports what children shall find loaded; returns what each of them has to do over again."""
    explicit = weakref.WeakSet()
    seed = random.Random.seed

    def noted(self, a=None, *rest, **named):
        (explicit.discard if a is None else explicit.add)(self)
        return seed(self, a, *rest, **named)

    random.Random.seed = noted
    for name in names:
        try:
            importlib.import_module(name)
        except BaseException as error:
            _refuse(f"cannot import {name}: {str(error) or type(error).__name__}")
        if _threads() > 1:
            _refuse(f"cannot import {name}: it started a thread")
    random.Random.seed = seed
    if _threads() > 1:
        _refuse("something started a thread")
    # Whoever named a seed gets the same numbers in every cold run too.
    return [*_reseeders(explicit), _restart_modules]


def _refuse(reason):
    write(_LINE, b"!" + " ".join(reason.split())[:500].encode("utf-8", "replace"))
    _exit(1)


def _threads():
    try:
        return len(os.listdir("/proc/self/task"))
    except OSError:
        return threading.active_count()


def _reseeders(explicit):
    for each in gc.get_objects():
        # The functions of `random` reseed themselves after a fork.
        if isinstance(each, random.Random) and each not in explicit and each is not random._inst:
            yield each.seed
    kinds = getattr(_modules.get("numpy.random.bit_generator"), "BitGenerator", None)
    if kinds is None:
        return
    found = [each for each in gc.get_objects() if isinstance(each, kinds)]
    mtrand, generator = _modules.get("numpy.random.mtrand"), _modules.get("numpy.random._generator")
    users = tuple(getattr(*each) for each in ((mtrand, "RandomState"), (generator, "Generator")) if each[0])
    holders = [mtrand._rand] if mtrand else []
    holders += [each for each in gc.get_objects() if isinstance(each, users)]
    found += [each._bit_generator for each in holders]
    every = {id(each): each for each in found}
    for each in every.values():
        sequence = getattr(each, "seed_seq", getattr(each, "_seed_seq", None))
        entropy = getattr(sequence, "entropy", None)
        # Entropy of the system has 128 bits; what has fewer, or none, was named by somebody.
        if isinstance(entropy, int) and entropy >> 64:
            yield lambda each=each: setattr(each, "state", type(each)().state)


def _restart_modules():
    """What the standard library made once per process, or remembers by a process id.

    Every jar counts its processes from one, so that a process id tells nothing apart.
    """
    threading.main_thread()._native_id = threading.get_native_id()
    fresh = {
        "uuid": {"_node": None, "_last_timestamp": None, "_last_timestamp_v6": None, "_last_timestamp_v7": None,
                 "_last_counter_v7": 0},
        "tempfile": {"_name_sequence": None, "tempdir": None},
        "multiprocessing.process": {"ORIGINAL_DIR": os.getcwd()},
    }
    for name, values in fresh.items():
        module = _modules.get(name)
        for attribute, value in values.items():
            if hasattr(module, attribute):
                setattr(module, attribute, value)
    process = _modules.get("multiprocessing.process")
    if process is not None:
        process.current_process().authkey = os.urandom(32)
    tls = _modules.get("_ssl")
    if tls is not None:
        # OpenSSL notices a fork by the process id.
        tls.RAND_add(os.urandom(32), 32.0)


def _open_streams():
    """Opens the standard streams anew: what they are was looked up when the template started."""
    direct = bool(os.environ.get("PYTHONUNBUFFERED"))
    for descriptor, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        old = getattr(sys, f"__{name}__")
        try:
            fstat(descriptor)
        except OSError:
            stream = None
        else:
            unbuffered = direct and mode == "w"
            binary = io.open(descriptor, mode + "b", 0 if unbuffered else -1, closefd=False)
            raw = binary if unbuffered else binary.raw
            raw.name = f"<{name}>"
            by_line = not direct and (raw.isatty() or descriptor == 2)
            encoding, errors = getattr(old, "encoding", "utf-8"), getattr(old, "errors", "strict")
            stream = io.TextIOWrapper(binary, encoding, errors, "\n", by_line, direct)
            stream.mode = mode
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def _find_stack(api):
    """Finds where the interpreter keeps its innermost frame and its depth.

    Both are set while a script runs, so that it sees no frame below its own and may recurse as deep
    as in a cold run. Where a layout is not the known one, nothing is touched.
    """
    global _base, _at, _depth, _top
    if object.__basicsize__ != 16 or hasattr(sys, "gettotalrefcount") or sys.version_info >= (3, 15):
        return
    api.PyThreadState_Get.restype = ctypes.c_void_p
    state, version = api.PyThreadState_Get(), sys.version_info[:2]
    small = ctypes.c_int.from_address
    own = sys._getframe()
    inner = id(own) if version < (3, 11) else _word(id(own) + 24).value
    if version in ((3, 11), (3, 12)):
        # Here every nested call of the interpreter keeps a record of its own.
        base, places = _word(state + 56), (8 if version == (3, 11) else 0,)
    else:
        base, places = ctypes.c_void_p(state), range(24, 128, 8)
    found = []
    # A loop, for a comprehension may be a frame of its own.
    for place in places:
        if _word(base.value + place).value == inner:
            found.append(place)
    if len(found) != 1:
        return
    limit = sys.getrecursionlimit()
    if version < (3, 11):
        depth, expected = state + 32, 1
    else:
        sys.setrecursionlimit(limit + 7919)
        limits = [state + at for at in range(24, 128, 4) if small(state + at).value == limit + 7919]
        sys.setrecursionlimit(limit)
        if len(limits) != 1:
            return
        depth, expected = limits[0] - 4, limit - 1
    _base, _at, _depth = base, found[0], small(depth)
    seen = {"slot": _depth}
    _top = _depth.value
    _run(exec, compile("found = slot.value", "<string>", "exec", 0, True), seen)
    _top += expected - seen["found"]


class _Prepared:
    """All that a request needs and that can be had before it came."""

    def __init__(self):
        self.names = [(name, globals()[name]) for name in _SCRIPT if name not in ("__name__", "__doc__")]
        self.annotated = "__annotations__" in _SCRIPT
        self.receive = belljar._receive
        self.original = hasattr(sys, "orig_argv")
        self.program = sys.orig_argv[0] if self.original else None
        safe = getattr(sys.flags, "safe_path", False)
        self.safe, self.path = safe, sys.path[0 if safe else 1:]
        self.usual = _block([text for pair in _environment.items() for text in pair], len(_environment))
        self.kept = frozenset(_modules)
        # Letting go of what is shared with the template would copy the pages that hold it.
        self.held = (*sys.path_importer_cache.values(), *sys.meta_path, *sys.path_hooks)
        self.logging = _modules.get("logging")
        self.clock = time.time_ns if isinstance(getattr(self.logging, "_startTime", None), int) else _time


def _block(texts, count):
    parts = [count.to_bytes(4, "little")]
    for text in texts:
        parts += (len(text).to_bytes(4, "little"), text)
    return b"".join(parts)


def _warm_up(prepared):
    """Goes the way of a request twice, up to what user code could tell."""
    own, path, argv = _modules["__main__"], list(sys.path), sys.argv
    orig_argv = getattr(sys, "orig_argv", None)
    entry = own.__file__
    record = _block([os.fsencode(entry)], 1) + prepared.usual + b"\xff" * 4
    for snippet in (b"def f(x):\n    return [x]\nx = f(1)\nprint(end='')\n", b"class C:\n    pass\ntry:\n    C().x\nexcept Exception:\n    pass\n"):
        arguments, _ = _unpacked(ctypes.string_at(record, len(record)), prepared)
        close(fcntl(_LINE, F_DUPFD_CLOEXEC, _ASIDE))
        try:
            _source(entry)
        except OSError:
            pass
        _run(*_compiled(snippet, "<string>", _stage(arguments, prepared)))
        _flush_streams()
        _drop_modules(prepared.kept, dict.fromkeys(_FORGOTTEN), {"__main__": _modules["__main__"]})
        _objects()
    _modules["__main__"] = own
    sys.path[:], sys.argv = path, argv
    if orig_argv is not None:
        sys.orig_argv = orig_argv


def _serve(record, prepared):
    """The only request of this process: from its record to its end."""
    arguments, secrets = _unpacked(record, prepared)
    if secrets >= 0:
        prepared.receive(secrets)
    process, line = getpid(), _set_aside(prepared)
    namespace = _stage(arguments, prepared)
    if prepared.logging is not None:
        prepared.logging._startTime = prepared.clock()
    entry = arguments[0]
    caught = _run(*_compiled(_source(entry), entry, namespace))
    del namespace
    for name in ("stderr", "stdout"):
        if not _is_closed(_system.get(name)):
            _run(_flush, _system[name])
    if _gettrace() is not None:
        _settrace(None)
    if _getprofile() is not None:
        _setprofile(None)
    interrupted = type(caught) is KeyboardInterrupt
    code = 0 if caught is None else _report(caught)
    del caught
    code = _finish(code, prepared)
    if interrupted:
        signal(SIGINT, SIG_DFL)
        _kill(getpid(), SIGINT)
        _exit(130)
    # A child that user code forked ends by itself; the marker would end the run.
    if getpid() == process:
        _mark(line, code)
    _exit(code)


def _set_aside(prepared):
    """Moves the line; returns its descriptor and what tells it from a file opened in its place."""
    try:
        descriptor = fcntl(_LINE, F_DUPFD_CLOEXEC, _ASIDE)
        close(_LINE)
    except OSError:
        descriptor = _LINE
    return descriptor, prepared.inode


def _mark(line, code):
    try:
        if fstat(line[0]).st_ino == line[1]:
            write(line[0], bytes((code,)))
    except OSError:
        pass


def _unpacked(record, prepared):
    texts, at = [], 4
    for _ in range(_number(record)[0]):
        start = at + 4
        at = start + _number(record, at)[0]
        texts.append(record[start:at].decode("utf-8", "surrogateescape"))
    if record.startswith(prepared.usual, at):
        at += len(prepared.usual)
    else:
        at = _set_environment(record, at, prepared)
    return texts, int.from_bytes(record[at:at + 4], "little", signed=True)


def _set_environment(record, at, prepared):
    pairs, (count,) = [], _number(record, at)
    at += 4
    for _ in range(2 * count):
        start = at + 4
        at = start + _number(record, at)[0]
        pairs.append(record[start:at])
    wanted, before = dict(zip(pairs[::2], pairs[1::2])), dict(_environment)
    for name in before.keys() - wanted.keys():
        unsetenv(name)
    for name, value in wanted.items():
        if before.get(name) != value:
            putenv(name, value)
    _environment.clear()
    _environment.update(wanted)
    changed = {name for name in before.keys() | wanted.keys() if before.get(name) != wanted.get(name)}
    if b"TZ" in changed:
        time.tzset()
    if b"PYTHONPATH" in changed:
        _set_search_path(prepared, before.get(b"PYTHONPATH", b""), wanted.get(b"PYTHONPATH", b""))
    return at


def _set_search_path(prepared, before, wanted):
    old = {os.path.abspath(entry) for entry in os.fsdecode(before).split(":") if before}
    added = [os.path.abspath(entry) for entry in os.fsdecode(wanted).split(":") if wanted]
    rest = [entry for entry in prepared.path if entry not in old]
    prepared.path = list(dict.fromkeys((*added, *rest)))


def _source(path):
    descriptor = open(path, 0o2000000)
    parts = [read(descriptor, fstat(descriptor).st_size + 1)]
    while parts[-1]:
        parts.append(read(descriptor, 1 << 20))
    close(descriptor)
    return b"".join(parts)


def _stage(arguments, prepared):
    """Makes the script's module, arguments and search path; returns the module's namespace."""
    entry = arguments[0]
    module = _Module("__main__")
    namespace = module.__dict__
    for name, value in prepared.names:
        namespace[name] = value
    namespace["__loader__"] = _Loader("__main__", entry)
    namespace["__file__"] = entry
    if prepared.annotated:
        namespace["__annotations__"] = {}
    _modules["__main__"] = module
    _system["argv"] = arguments
    if prepared.original:
        _system["orig_argv"] = [prepared.program, *arguments]
    first = [] if prepared.safe else [entry.rpartition("/")[0] or "/"]
    sys.path[:] = first + prepared.path
    return namespace


def _compiled(source, entry, namespace):
    """What to call with what; a script that does not compile is read as a cold start reads it."""
    try:
        return exec, compile(source, entry, "exec", 0, True), namespace
    except BaseException:
        pass
    # Nothing that was warned about shall be said twice.
    warnings.simplefilter("ignore", SyntaxWarning)
    warnings.simplefilter("ignore", DeprecationWarning)
    name = os.fsencode(entry)
    return _run_file, _open_file(name, b"r"), name, _FILE_INPUT, namespace, namespace, 1, None


def _run(action, *arguments):
    """Calls with no frame of ours below; returns what it raised, without our frame in the traceback."""
    caught, before = None, _depth.value
    try:
        _depth.value = _top
        if _base is not None:
            _word(_base.value + _at).value = None
        action(*arguments)
    except BaseException as error:
        caught = error
    _depth.value += before - _top
    if caught is not None:
        caught.__traceback__ = caught.__traceback__ and caught.__traceback__.tb_next
    return caught


def _report(caught):
    """Prints an uncaught exception; returns the exit status."""
    if isinstance(caught, SystemExit):
        return _exit_status(caught)
    kind, trace = type(caught), caught.__traceback__
    _system.update(last_type=kind, last_value=caught, last_traceback=trace)
    if sys.version_info >= (3, 12):
        _system["last_exc"] = caught
    hook = _system.get("excepthook", _system)
    if hook is _system:
        _say("sys.excepthook is missing\n")
        hook = _display
    # Newer interpreters enter a Python function directly from our frame, but not through a partial.
    second = _run(_partial(hook, kind, caught, trace)) if _callable(hook) else _run(hook, kind, caught, trace)
    if isinstance(second, SystemExit):
        return _exit_status(second)
    if second is not None:
        _say("Error in sys.excepthook:\n")
        _run(_display, type(second), second, second.__traceback__)
        _say("\nOriginal exception was:\n")
        _run(_display, kind, caught, trace)
    return 1


def _exit_status(caught):
    try:
        caught = caught.code
    except BaseException:
        pass
    if caught is None:
        return 0
    if isinstance(caught, int):
        return int(caught) & 255 if -(1 << 63) <= caught < 1 << 63 else 255
    _say(caught)
    _say("\n")
    return 1


def _say(text):
    try:
        _system["stderr"].write(str(text))
    except BaseException:
        pass


def _finish(status, prepared):
    """What happens between the end of a script and the end of its interpreter; returns the status."""
    threads = _modules.get("threading")
    # Without other threads and hooks there is nothing to wait for, and waiting has its price.
    if threads is not None and (threads is not threading or len(threads._active) > 1 or threads._threading_atexits):
        caught = _run(threads._shutdown)
        if caught is not None:
            _ignore(caught, threads, "Exception ignored on threading shutdown", (3, 13))
    # Its handlers' exceptions are printed by then.
    _run(_exit_functions)
    failed = _flush_streams()
    if _enabled():
        _run(_collect)
    _drop_modules(prepared.kept, _system, _modules)
    for each in _objects():
        if type(each) in _WRITERS and not _is_closed(each):
            _run(each.flush)
    for name in ("stdout", "stderr"):
        if not _is_closed(_system[name]):
            _run(_flush, _system[name])
    return 120 if failed else status


def _flush_streams():
    failed = False
    for name in ("stdout", "stderr"):
        stream = _system.get(name)
        if _is_closed(stream):
            continue
        caught = _run(_flush, stream)
        if caught is not None:
            failed = True
            if name == "stdout":
                _ignore(caught, stream, _FLUSHING, (3, 13))
    return failed


def _is_closed(stream):
    try:
        return stream is None or stream.closed
    except BaseException:
        return False


def _ignore(caught, place, message, since):
    message, place = (message, None) if sys.version_info >= since else (None, place)
    details = (type(caught), caught, caught.__traceback__, message, place)
    _run(_system["unraisablehook"], _Unraisable(details))


def _drop_modules(kept, system, modules):
    """Lets go of the script's modules in the interpreter's own order: finalisers tell."""
    for name in _FORGOTTEN:
        system[name] = None
    for name in ("stdin", "stdout", "stderr"):
        _run(system.__setitem__, name, system.get(f"__{name}__"))
    leaving = []
    # From the end, where what is new is: a look at every name would copy the pages that hold them.
    for name in reversed(modules):
        if name in kept:
            break
        leaving.append(name)
    leaving.append("__main__")
    leaving.reverse()
    alive, module = [], None
    for name in leaving:
        module = modules.get(name)
        if isinstance(module, _Module):
            alive.append(_reference(module))
        modules[name] = None
        module = None
    for name in leaving:
        modules.pop(name, None)
    # The lines of a source are not shown any more, for which a cold run has these gone.
    modules["io"] = modules["traceback"] = None
    _run(_collect)
    emptied = False
    for each in reversed(alive):
        module = each()
        if module is not None:
            _empty(module.__dict__)
            emptied = True
    module = None
    if emptied:
        _run(_collect)
    if len(_builtins) != _BUILTINS:
        for name in list(_builtins)[_BUILTINS:]:
            del _builtins[name]


def _empty(namespace):
    for private in (True, False):
        for name in list(namespace):
            if not isinstance(name, str) or name == "__builtins__" or namespace.get(name) is None:
                continue
            if not private or (name[:1] == "_" and name[1:2] != "_"):
                namespace[name] = None


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
