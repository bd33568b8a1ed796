"""Runs code and tells more of it than its output: the value of its last expression, its figures, and
what it raised.

``guest.py`` alone serves a session at the other end of standard input; ``guest.py ENTRY [ARGUMENT ...]``
runs one script, and leaves what it has to tell in a file.
"""

import ast, fcntl, io, os, queue, signal, sys, time, types  # noqa: E401
import _thread

_OWN = globals()
# What a run by rules has: its own builtins, and its own way to read a program.
_GUARD = _OWN.get("_guard")
_RESULT = "/work/.belljar-result.json"
_TEXT_MAX, _HTML_MAX, _JSON_MAX = 64 << 10, 1 << 20, 64 << 10
_NODES_MAX, _FRAMES_MAX, _FIGURES_MAX = 65536, 100, 64
# Out of the way of user code.
_ASIDE = 62
_GUARD_FILE = "/run/belljar/guard.py"


def main():
    arguments = sys.argv[1:]
    fresh = types.ModuleType("__main__")
    fresh.__builtins__ = _GUARD.builtins if _GUARD else sys.modules["builtins"]
    sys.modules["__main__"] = fresh
    if arguments:
        _Script(fresh).run(arguments)
    else:
        _Session(fresh).serve()


class _Teller:
    """What can be told of code that has run."""

    def __init__(self, module):
        self.namespace, self.process, self.figures = vars(module), os.getpid(), 0

    def evaluate(self, source, name, value_wanted=True):
        """Runs a source; returns the value of its last statement, if that is an expression."""
        last = None
        tree = _GUARD.parse(source, name) if _GUARD else compile(source, name, "exec", ast.PyCF_ONLY_AST, True)
        if tree.body and isinstance(tree.body[-1], ast.Expr) and value_wanted:
            last = ast.Expression(tree.body.pop().value)
        if tree.body:
            exec(compile(tree, name, "exec", 0, True), self.namespace)
        if last is not None:
            return eval(compile(last, name, "eval", 0, True), self.namespace)

    def describe(self, value):
        """A value as text, as a page if it can draw itself, and as JSON if it is plain data."""
        if value is None:
            return None
        try:
            text = repr(value)
        except Exception as error:
            text = f"<{type(value).__name__}, whose repr() raised {type(error).__name__}>"
        told = {"text": text[:_TEXT_MAX], "html": None, "json": None}
        try:
            draw = getattr(type(value), "_repr_html_", None)
            html = draw(value) if callable(draw) else None
            if isinstance(html, str) and len(html.encode("utf-8", "replace")) <= _HTML_MAX:
                told["html"] = html
        except Exception:
            pass
        if _is_plain(value, [_NODES_MAX]):
            import json
            try:
                data = json.dumps(value, allow_nan=False)
                told["json"] = data if len(data) <= _JSON_MAX else None
            except (ValueError, RecursionError):
                pass
        return told

    def save_figures(self, value):
        """Saves every figure that is open, and the value if it is an image; returns their numbers."""
        saved, seen = [], set()
        pyplot = sys.modules.get("matplotlib.pyplot")
        for number in pyplot.get_fignums() if pyplot else ():
            figure = pyplot.figure(number)
            seen.add(id(figure))
            self.save(lambda path: figure.savefig(path, format="png"), saved)
        if pyplot:
            pyplot.close("all")
        figures, images = sys.modules.get("matplotlib.figure"), sys.modules.get("PIL.Image")
        if figures and isinstance(value, figures.Figure) and id(value) not in seen:
            self.save(lambda path: value.savefig(path, format="png"), saved)
        elif images and isinstance(value, images.Image):
            self.save(lambda path: value.save(path, "PNG"), saved)
        return saved

    def save(self, write, saved):
        if len(saved) >= _FIGURES_MAX:
            return
        try:
            os.makedirs("/work/figures", exist_ok=True)
            write(f"/work/figures/{self.figures + 1}.png")
        except Exception as error:
            print(f"a figure could not be saved: {type(error).__name__}: {error}", file=sys.stderr)
        else:
            self.figures += 1
            saved.append(self.figures)

    def explain(self, error):
        """An exception with the lines that led to it."""
        try:
            message = str(error)
        except Exception:
            message = ""
        frames = []
        try:
            import linecache
            trace = error.__traceback__
            while trace is not None and len(frames) < 2 * sys.getrecursionlimit():
                code = trace.tb_frame.f_code
                line = linecache.getline(code.co_filename, trace.tb_lineno, trace.tb_frame.f_globals)
                frames.append({"file": _shown(code.co_filename), "line": trace.tb_lineno or 0,
                               "function": code.co_name, "code": line.strip()[:1000]})
                trace = trace.tb_next
            if isinstance(error, SyntaxError) and error.filename:
                frames.append({"file": _shown(error.filename), "line": error.lineno or 0,
                               "function": "", "code": (error.text or "").strip()[:1000]})
        except Exception:
            pass
        if len(frames) > _FRAMES_MAX:
            frames[_FRAMES_MAX // 2:-(_FRAMES_MAX // 2)] = []
        kind = type(error)
        name = kind.__qualname__ if kind.__module__ in ("builtins", "__main__") else f"{kind.__module__}.{kind.__qualname__}"
        return {"type": name[:1000], "message": message[:_TEXT_MAX], "traceback": frames}

    def tell(self, value, error):
        """Everything, as JSON."""
        import json
        figures = self.save_figures(value)
        told = {"value": self.describe(value), "error": error and self.explain(error), "figures": figures}
        # Half of a surrogate pair is text here, and nowhere else.
        return json.dumps(told, ensure_ascii=False).encode("utf-8", "replace")


class _Script(_Teller):
    """One script, as the interpreter itself would run it."""

    def run(self, arguments):
        entry = arguments[0]
        sys.argv = arguments
        sys.path[:1] = [os.path.dirname(entry)]
        with io.open_code(entry) as file:
            source = file.read()
        self.namespace["__file__"] = entry
        value = caught = None
        try:
            value = self.evaluate(source, entry)
        except BaseException as error:
            caught = _without_own_frames(error)
        if os.getpid() == self.process:
            try:
                self.leave(value, caught)
            except Exception as error:
                print(f"the result could not be told: {error}", file=sys.stderr)
        if isinstance(caught, SystemExit):
            raise caught
        if caught is not None:
            _display(caught)
            if isinstance(caught, KeyboardInterrupt):
                signal.signal(signal.SIGINT, signal.SIG_DFL)
                os.kill(os.getpid(), signal.SIGINT)
            sys.exit(1)

    def leave(self, value, caught):
        told = self.tell(value, None if isinstance(caught, SystemExit) else caught)
        with open(_RESULT, "wb") as file:
            file.write(told)


class _Session(_Teller):
    """Calls, one after the other, on what they have in common."""

    def __init__(self, module):
        super().__init__(module)
        self.socket = _aside(0)
        self.calls = queue.SimpleQueue()
        # A call is there; its code runs; it is to be interrupted.
        self.busy = self.running = self.asked = False
        self.main = _thread.get_ident()

    def serve(self):
        # The script's own directory is no place for modules of the user.
        sys.path[:1] = ["/work"]
        sys.argv = [""]
        signal.signal(signal.SIGINT, self.interrupted)
        # Its reader sleeps in the kernel while user code forks.
        import warnings
        warnings.filterwarnings("ignore", ".*multi-threaded", DeprecationWarning)
        self.send(0, b"")
        _thread.start_new_thread(self.read, ())
        while True:
            call = self.calls.get()
            if call is None:
                return
            self.answer(*call)

    def interrupted(self, *_):
        if self.running:
            raise KeyboardInterrupt

    def read(self):
        """Alone reads the socket: what interrupts a call comes while the main thread is in it."""
        try:
            with open(self.socket, "rb", closefd=False) as stream:
                while True:
                    first = stream.read(1)
                    if first == b"!":
                        self.asked = self.busy
                        if self.running:
                            self.interrupt()
                        continue
                    header = (first + stream.readline(200)).split()
                    if not header:
                        break
                    number, code, stdin, count = map(int, header[1:])
                    code, stdin, files = stream.read(code), stream.read(stdin), []
                    for _ in range(count):
                        size, _, path = stream.readline(5000).rstrip(b"\n").partition(b" ")
                        files.append((path, stream.read(int(size))))
                    self.busy = True
                    self.calls.put((number, code, stdin, files))
        finally:
            self.calls.put(None)

    def interrupt(self):
        try:
            # A signal, so that a call into the kernel ends as well.
            signal.pthread_kill(self.main, signal.SIGINT)
        except OSError:
            _thread.interrupt_main()

    def answer(self, number, code, stdin, files):
        value = caught = told = None
        name = f"<call {number}>"
        try:
            try:
                _place(files)
                _show_lines(name, code)
                _set_stdin(stdin)
                self.running = True
                if self.asked:
                    raise KeyboardInterrupt
                value = self.evaluate(code, name)
                if os.getpid() == self.process:
                    told = self.tell(value, None)
            finally:
                self.running = False
        except BaseException as error:
            self.running = False
            caught = _without_own_frames(error)
        if os.getpid() != self.process:
            _leave_fork(caught)
        status = "ok"
        if caught is not None:
            status = "interrupted" if isinstance(caught, KeyboardInterrupt) else "error"
            told = self.tell_error(caught)
        elif value is not None:
            self.namespace["_"] = value
        del value, caught
        _flush()
        self.busy = self.asked = False
        self.send(number, b'{"status":"%s",' % status.encode() + told[1:])

    def tell_error(self, caught):
        try:
            if not isinstance(caught, SystemExit):
                _display(caught)
            elif not isinstance(caught.code, (int, type(None))):
                print(caught.code, file=sys.stderr)
            return self.tell(None, caught)
        except BaseException as error:
            return b'{"error":{"type":"%s","message":"","traceback":[]}}' % type(error).__name__.encode()

    def send(self, number, body):
        data = memoryview(b"answer %d %d\n" % (number, len(body)) + body)
        while data:
            data = data[os.write(self.socket, data):]


def _is_plain(value, left):
    """Whether JSON says all of it."""
    left[0] -= 1
    kind = type(value)
    if left[0] < 0:
        return False
    if value is None or kind in (bool, int, float, str):
        return kind is not int or -(1 << 63) <= value < 1 << 64
    try:
        if kind is list:
            return all(_is_plain(each, left) for each in value)
        return kind is dict and all(type(key) is str and _is_plain(each, left) for key, each in value.items())
    except RecursionError:
        return False


def _without_own_frames(error):
    """The exception, as if nothing of ours had called what raised it."""
    first, last, trace = None, None, error.__traceback__
    while trace is not None:
        # Below user code, too: what a signal is handled by, or an import by rules.
        if trace.tb_frame.f_globals is not _OWN and trace.tb_frame.f_code.co_filename != _GUARD_FILE:
            first = first or trace
            if last:
                last.tb_next = trace
            last = trace
        trace = trace.tb_next
    if last:
        last.tb_next = None
    return error.with_traceback(first)


def _display(error, shown=sys.excepthook):
    hook = getattr(sys, "excepthook", shown)
    if hook is shown:
        # Knows the lines of a call, which are in no file.
        import traceback
        traceback.print_exception(type(error), error, error.__traceback__)
    else:
        hook(type(error), error, error.__traceback__)


def _shown(path):
    return path[len("/work/"):] if path.startswith("/work/") else path


def _aside(descriptor):
    """Moves a descriptor to where nobody looks, and puts nothing in its place."""
    try:
        moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _ASIDE)
    except OSError:
        moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 3)
    _set_stdin(b"")
    return moved


def _set_stdin(data):
    """Standard input that holds this, and nobody else's rest."""
    if data:
        file = os.open("/tmp", os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
        with open(file, "wb", closefd=False) as stream:
            stream.write(data)
        os.lseek(file, 0, os.SEEK_SET)
    else:
        file = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
    if file:
        os.dup2(file, 0)
        os.close(file)
    sys.stdin = sys.__stdin__ = open(0, "r", encoding="utf-8", closefd=False)


def _place(files):
    for path, data in files:
        path = os.path.join(b"/work", path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(data)


def _show_lines(name, code):
    """Lets tracebacks show what is in no file."""
    import linecache
    text = code.decode("utf-8", "replace")
    linecache.cache[name] = (len(text), None, text.splitlines(True), name)


def _leave_fork(caught):
    """Ends a process that user code forked, as its own end would have."""
    if caught is not None and not isinstance(caught, SystemExit):
        _display(caught)
    _flush()
    code = getattr(caught, "code", 1) if caught is not None else 0
    os._exit(code & 255 if isinstance(code, int) else int(code is not None))


def _flush():
    for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
        try:
            stream.flush()
        except BaseException:
            pass


if __name__ == "__main__":
    main()
