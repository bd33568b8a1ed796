"""The real service, strange ones, and both clients as one."""

from __future__ import annotations

import asyncio
import inspect
import os
import socket
import subprocess
import tempfile
import threading
import time
import unittest
from pathlib import Path
from typing import Any, Callable, Iterator, Optional

import belljar

STARTUP_SECONDS = 30.0
PATIENCE_SECONDS = 15.0


def directory(case: type[unittest.TestCase]) -> Path:
    made = tempfile.TemporaryDirectory(prefix="belljar-")
    case.addClassCleanup(made.cleanup)
    return Path(made.name)


def serve(case: type[unittest.TestCase]) -> str:
    """The socket of a service that ends with the tests of ``case``."""
    program = os.environ.get("BELLJAR_BIN")
    if not program:
        raise AssertionError("set BELLJAR_BIN to the program belljar: these tests run against it")
    made = directory(case)
    path, log = str(made / "socket"), made / "log"
    with log.open("wb") as said:
        process = subprocess.Popen(
            [program, "serve", "--socket", path], stdin=subprocess.DEVNULL, stdout=said, stderr=said
        )
    case.addClassCleanup(stop, process)
    end = time.monotonic() + STARTUP_SECONDS
    while not is_healthy(path):
        if process.poll() is not None or time.monotonic() > end:
            raise AssertionError(f"the service does not start: {log.read_text(errors='replace')}")
        time.sleep(0.02)
    return path


def stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise


def is_healthy(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as trial:
        try:
            trial.connect(path)
            trial.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            return trial.recv(64).startswith(b"HTTP/1.1 200 ")
        except OSError:
            return False


def eventually(is_so: Callable[[], bool]) -> bool:
    end = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def runs_with(mark: str) -> bool:
    """Whether a process of this host has ``mark`` among its arguments."""
    for commands in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if mark.encode() in commands.read_bytes():
                return True
        except OSError:
            continue
    return False


class Fake:
    """Says the next of ``answers`` to each who asks, and then goes away, or holds the line."""

    def __init__(self, *answers: bytes, holds: bool = False, pause: float = 0) -> None:
        self._made = tempfile.TemporaryDirectory(prefix="belljar-")
        self.path = f"{self._made.name}/socket"
        self.asked: list[bytes] = []
        self._answers, self._holds, self._held = list(answers), holds, [socket.socket()]
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.path)
        self._listener.listen(1)
        self._pause = pause
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        for answer in self._answers:
            time.sleep(self._pause)
            try:
                stream, _ = self._listener.accept()
            except OSError:
                return
            try:
                self.asked.append(stream.recv(1 << 16))
                stream.sendall(answer)
            except OSError:
                pass
            if self._holds:
                self._held.append(stream)
            else:
                stream.close()

    def fill(self) -> list[socket.socket]:
        """Takes all the places in the queue, and asks for nothing that matters."""
        taken: list[socket.socket] = []
        while True:
            stream = socket.socket(socket.AF_UNIX)
            stream.setblocking(False)
            try:
                stream.connect(self.path)
            except BlockingIOError:
                stream.close()
                return taken
            stream.sendall(b"GET / HTTP/1.1\r\n\r\n")
            taken.append(stream)

    def __enter__(self) -> Fake:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(PATIENCE_SECONDS)
        for stream in [self._listener, *self._held]:
            stream.close()
        self._made.cleanup()


def said(body: bytes, head: str = "", status: str = "200 OK") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{head}\r\n"
    return head.encode() + body


class Now:
    """Something of the asynchronous client that is used as what is of the other."""

    def __init__(self, it: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._it, self._loop = it, loop

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._it, name)
        return self._call(found) if callable(found) else found

    def _call(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def now(*args: Any, **options: Any) -> Any:
            answer = method(*args, **options)
            if isinstance(answer, belljar.AsyncSession):
                answer = answer.open()
            if inspect.isasyncgen(answer):
                return self._iterate(answer)
            if inspect.isawaitable(answer):
                answer = self._loop.run_until_complete(answer)
            is_ours = isinstance(answer, (belljar.AsyncRun, belljar.AsyncSession))
            return Now(answer, self._loop) if is_ours else answer

        return now

    def _iterate(self, events: Any) -> Iterator[Any]:
        try:
            while True:
                try:
                    yield self._loop.run_until_complete(events.__anext__())
                except StopAsyncIteration:
                    return
        finally:
            self._loop.run_until_complete(events.aclose())

    def __enter__(self) -> Now:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Case(unittest.TestCase):
    """Each test is run with the client that waits; ``Asynchronous`` does so with the other."""

    maxDiff = None
    path: Optional[str] = None

    def sandbox(self, runtime: str = "python", **options: Any) -> Any:
        return belljar.Sandbox(runtime, **{"socket": self.path, **options})

    def assert_refused(
        self, code: str, ask: Callable[..., object], *args: Any, **options: Any
    ) -> belljar.BelljarError:
        with self.assertRaises(belljar.BelljarError) as caught:
            ask(*args, **options)
        self.assertEqual(caught.exception.code, code, caught.exception)
        return caught.exception


class ServiceCase(Case):
    @classmethod
    def setUpClass(cls) -> None:
        cls.path = serve(cls)


class Asynchronous(Case):
    def sandbox(self, runtime: str = "python", **options: Any) -> Any:
        loop = asyncio.new_event_loop()
        self.addCleanup(loop.close)
        self.addCleanup(lambda: loop.run_until_complete(loop.shutdown_asyncgens()))
        sandbox = belljar.AsyncSandbox(runtime, **{"socket": self.path, **options})
        return Now(sandbox, loop)
