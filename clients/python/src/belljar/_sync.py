"""For callers that wait."""

from __future__ import annotations

import http.client
import os
import socket
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generator, Optional, Union

from . import _wire as wire
from ._types import BelljarError, Call, Data, Event, Limits, Outcome, Overloaded

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._types import CallOptions, RunOptions, SessionOptions


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: str, deadline: wire.Deadline) -> None:
        super().__init__("belljar")
        self._path, self._deadline = path, deadline

    def connect(self) -> None:
        end = time.monotonic() + wire.CONNECT_SECONDS
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.setblocking(False)
        while True:
            try:
                self.sock.connect(self._path)
                break
            except BlockingIOError as error:
                # Its queue is full: somebody listens.
                time.sleep(wire.CONNECT_PAUSE_SECONDS)
                self._deadline.left()
                if time.monotonic() > end:
                    raise wire.absent(self._path, error) from error
            except OSError as error:
                raise wire.absent(self._path, error) from error
        self.limit()

    def limit(self) -> None:
        if self.sock is not None:
            self.sock.settimeout(self._deadline.left())


class _Exchange:
    """An answer that is being read. Closing it early is leaving."""

    def __init__(self, path: str, ask: wire.Ask, deadline: wire.Deadline) -> None:
        self._deadline = deadline
        self._connection = _Connection(path, deadline)
        try:
            self._response = self._begin(ask)
            if not wire.check_head(self._response.status, self._response.getheader("Belljar-Api")):
                body = self.read(wire.MOST_PROBLEM_BYTES)
                after = self._response.getheader("Retry-After")
                raise wire.problem(self._response.status, after, body)
        except BaseException:
            self.close()
            raise

    def _begin(self, ask: wire.Ask) -> http.client.HTTPResponse:
        try:
            try:
                self._connection.request(ask.method, ask.path, ask.body, dict(ask.headers))
            except (BrokenPipeError, ConnectionResetError):
                pass  # Who refuses a request need not read it, and may have said why.
            self._connection.limit()
            # The response takes it along where nothing is to follow.
            self._socket = self._connection.sock
            return self._connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            raise self._failure(error) from error

    def piece(self) -> bytes:
        """The next of the body; nothing at its end."""
        try:
            if self._socket is not None and self._socket.fileno() >= 0:
                self._socket.settimeout(self._deadline.left())
            piece = self._response.read1(wire.PIECE_BYTES)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise self._failure(error) from error
        if not piece and self._response.length:
            raise wire.gone("its answer is cut off")
        return piece

    def read(self, most_bytes: int = wire.MOST_ANSWER_BYTES) -> bytes:
        parts: list[bytes] = []
        length = 0
        while piece := self.piece():
            parts.append(piece)
            length += len(piece)
            if length > most_bytes:
                wire.strange("its answer does not end")
        return b"".join(parts)

    def close(self) -> None:
        if hasattr(self, "_response"):
            self._response.close()
        self._connection.close()

    def _failure(self, error: Exception) -> BelljarError:
        if isinstance(error, BelljarError):
            return error
        if isinstance(error, (socket.timeout, TimeoutError)):
            return wire.late()
        is_end = isinstance(error, (OSError, http.client.IncompleteRead))
        if is_end or isinstance(error, http.client.RemoteDisconnected):
            return wire.gone(error)
        return BelljarError("internal", f"this is no service of belljar: {error!r:.200}")


class _Client:
    def __init__(self, settings: wire.Settings) -> None:
        self._settings = settings

    def _open(self, ask: wire.Ask) -> _Exchange:
        deadline = wire.Deadline(ask.timeout)
        for _ in range(self._settings.retries):
            try:
                return _Exchange(self._settings.socket, ask, deadline)
            except Overloaded as error:
                time.sleep(deadline.pause(error))
        return _Exchange(self._settings.socket, ask, deadline)

    def _fetch(self, ask: wire.Ask) -> bytes:
        exchange = self._open(ask)
        try:
            return exchange.read()
        finally:
            exchange.close()

    def _events(self, ask: wire.Ask) -> Generator[Event, None, None]:
        exchange, lines, has_ended = self._open(ask.streamed()), wire.Lines(), False
        try:
            while piece := exchange.piece():
                for line in lines.feed(piece):
                    event = wire.event(line) if line.strip() else None
                    if event is not None:
                        has_ended = wire.is_last(event)
                        yield event
            if not has_ended:
                raise wire.gone("its events have no end")
        finally:
            exchange.close()

    def _do(self, method: str, path: str, body: bytes = b"") -> bytes:
        return self._fetch(self._settings.ask(method, path, body))


class Run(_Client):
    """A run that nobody has to wait for."""

    def __init__(self, settings: wire.Settings, id: str) -> None:
        super().__init__(settings)
        self.id = id

    def status(self) -> str:
        """``queued``, ``running``, or how it ended."""
        return str(wire.answer(self._do("GET", wire.place("runs", self.id))).get("status"))

    def wait(self, timeout: Optional[float] = None) -> Outcome:
        """Until it has ended. It goes on if the time passes."""
        deadline = wire.Deadline(timeout)
        while True:
            row = wire.answer(self._fetch(wire.wait(self._settings, self.id, deadline)))
            if row.get("status") not in ("queued", "running"):
                return wire.outcome(row)

    def cancel(self) -> None:
        """Ends it, with everything it started."""
        self._do("DELETE", wire.place("runs", self.id))

    def write_stdin(self, data: Data) -> None:
        self._do("POST", wire.place("runs", self.id, "/stdin"), wire.data_bytes(data))

    def close_stdin(self) -> None:
        self._do("POST", wire.place("runs", self.id, "/stdin?eof=true"))

    def events(self, since: int = 0) -> Generator[Event, None, None]:
        """What has happened after the event numbered ``since``, and then what happens."""
        path = wire.place("runs", self.id, f"/events?since={since}")
        return self._events(self._settings.ask("GET", path))

    def artifact(self, path: str) -> bytes:
        return self._do("GET", wire.artifact_place(self.id, path))


class Session(_Client):
    """A jar that answers more than once: its calls see what those before them left."""

    def __init__(self, settings: wire.Settings, row: dict[str, Any]) -> None:
        super().__init__(settings)
        self.id = wire.identity(row)
        #: What was said of it at its beginning.
        self.raw = row

    def call(self, code: str, **options: Unpack[CallOptions]) -> Call:
        ask = self._settings.call(self.id, code, options)
        return wire.call(wire.answer(self._fetch(ask)))

    def stream(self, code: str, **options: Unpack[CallOptions]) -> Generator[Event, None, None]:
        return self._events(self._settings.call(self.id, code, options))

    def interrupt(self) -> None:
        """Ends the call that goes on, and keeps what there is."""
        self._do("POST", wire.place("sessions", self.id, "/interrupt"))

    def close(self) -> None:
        try:
            self._do("DELETE", wire.place("sessions", self.id))
        except BelljarError as error:
            if error.code != "not_found":
                raise

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self.close()


class Sandbox(_Client):
    """Where code of one language runs, each time in a jar of its own."""

    def __init__(
        self,
        runtime: str = "python",
        *,
        socket: Union[str, os.PathLike[str], None] = None,
        limits: Optional[Limits] = None,
        tenant: Optional[str] = None,
        retries: int = 0,
    ) -> None:
        super().__init__(wire.settings(runtime, socket, limits, tenant, retries))

    def run(self, code: Optional[str] = None, **options: Unpack[RunOptions]) -> Outcome:
        """Waits for the outcome. Whoever stops waiting ends the run."""
        return wire.outcome(wire.answer(self._fetch(self._settings.run(code, options))))

    def stream(
        self, code: Optional[str] = None, **options: Unpack[RunOptions]
    ) -> Generator[Event, None, None]:
        """What happens, as it happens, from the first ``next`` on. Closing it ends the run."""
        return self._events(self._settings.run(code, options))

    def start(self, code: Optional[str] = None, **options: Unpack[RunOptions]) -> Run:
        """Begins a run that goes on by itself."""
        row = wire.answer(self._fetch(self._settings.run(code, options).later()))
        return Run(self._settings, wire.identity(row))

    def attach(self, id: str) -> Run:
        """The run of this name, whoever started it."""
        return Run(self._settings, id)

    def session(self, **options: Unpack[SessionOptions]) -> Session:
        return Session(self._settings, wire.answer(self._fetch(self._settings.session(options))))
