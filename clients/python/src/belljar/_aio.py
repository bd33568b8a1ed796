"""The same for callers with an event loop."""

from __future__ import annotations

import asyncio
import http.client
import io
import os
import re
import socket
import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, AsyncGenerator, Awaitable, Callable, Optional, TypeVar, Union

from . import _wire as wire
from ._types import BelljarError, Call, Data, Event, Limits, Outcome, Overloaded

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._types import CallOptions, RunOptions, SessionOptions

T = TypeVar("T")

_STATUS = re.compile(rb"HTTP/1\.[01] ([1-9][0-9]{2})(?: [^\r\n]*)?\r\n")
_SIZE = re.compile(rb"([0-9a-fA-F]{1,15})[ \t]*(?:;[^\r\n]*)?\r\n")


class _Exchange:
    """An answer that is being read. Closing it early is leaving."""

    def __init__(self, ask: wire.Ask, deadline: wire.Deadline) -> None:
        self._ask, self._deadline = ask, deadline
        self._writer: Optional[asyncio.StreamWriter] = None
        self._is_chunked, self._left = False, 0

    async def begin(self, path: str) -> None:
        try:
            await self._within(self._connect, path)
            status, headers = await self._within(self._head)
            while 100 <= status < 200:
                status, headers = await self._within(self._head)
            self._understand(status, headers)
            if not wire.check_head(status, headers.get("Belljar-Api")):
                body = await self.read(wire.MOST_PROBLEM_BYTES)
                raise wire.problem(status, headers.get("Retry-After"), body)
        except BaseException:
            self.close()
            raise

    async def piece(self) -> bytes:
        """The next of the body; nothing at its end."""
        if self._is_chunked and self._left == 0:
            self._left = await self._within(self._size)
            if self._left == 0:
                while await self._within(self._line) != b"\r\n":
                    pass
                self._is_chunked = False
        if self._left == 0:
            return b""
        piece = await self._within(self._reader.read, min(self._left, wire.PIECE_BYTES))
        if not piece and self._left < sys.maxsize:
            raise wire.gone("its answer is cut off")
        if self._left < sys.maxsize:
            self._left -= len(piece)
        if self._is_chunked and self._left == 0:
            await self._within(self._expect, b"\r\n")
        return piece

    async def read(self, most_bytes: int = wire.MOST_ANSWER_BYTES) -> bytes:
        parts: list[bytes] = []
        length = 0
        while piece := await self.piece():
            parts.append(piece)
            length += len(piece)
            if length > most_bytes:
                wire.strange("its answer does not end")
        return b"".join(parts)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.transport.abort()

    async def _connect(self, path: str) -> None:
        end = time.monotonic() + wire.CONNECT_SECONDS
        stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        stream.setblocking(False)
        try:
            while True:
                try:
                    stream.connect(path)
                    break
                except BlockingIOError as error:
                    # Its queue is full. The event loop would take that for a connection.
                    await asyncio.sleep(wire.CONNECT_PAUSE_SECONDS)
                    if time.monotonic() > end:
                        raise wire.absent(path, error) from error
                except OSError as error:
                    raise wire.absent(path, error) from error
            opened = await asyncio.open_unix_connection(sock=stream, limit=wire.MOST_HEAD_BYTES)
        except BaseException:
            stream.close()
            raise
        self._reader, self._writer = opened
        ask = self._ask
        fields = {**ask.headers, "Host": "belljar", "Content-Length": str(len(ask.body))}
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        self._writer.write(f"{ask.method} {ask.path} HTTP/1.1\r\n{head}\r\n".encode() + ask.body)
        try:
            await self._writer.drain()
        except ConnectionError:
            pass  # Who refuses a request need not read it, and may have said why.

    async def _head(self) -> tuple[int, http.client.HTTPMessage]:
        found = _STATUS.fullmatch(await self._line())
        if found is None:
            wire.strange("it does not speak HTTP")
        head = b""
        while not head.endswith(b"\r\n\r\n") and head != b"\r\n":
            head += await self._line()
            if len(head) > wire.MOST_HEAD_BYTES:
                wire.strange("its head does not end")
        return int(found[1]), http.client.parse_headers(io.BytesIO(head))

    async def _size(self) -> int:
        found = _SIZE.fullmatch(await self._line())
        if found is None:
            wire.strange("its chunk has no size")
        return int(found[1], 16)

    def _understand(self, status: int, headers: http.client.HTTPMessage) -> None:
        """How long the body is: a chunk, all of it, or until the end."""
        length = headers.get("Content-Length")
        self._is_chunked = "chunked" in headers.get("Transfer-Encoding", "").lower()
        if self._is_chunked or status in (204, 304):
            self._left = 0
        elif length is None:
            self._left = sys.maxsize
        elif length.isascii() and length.isdigit() and len(length) < 18:
            self._left = int(length)
        else:
            wire.strange("its answer has no length")

    async def _line(self) -> bytes:
        return await self._reader.readuntil(b"\r\n")

    async def _expect(self, wanted: bytes) -> None:
        if await self._reader.readexactly(len(wanted)) != wanted:
            wire.strange("its chunk is longer than it says")

    async def _within(self, step: Callable[..., Awaitable[T]], *args: Any) -> T:
        left = self._deadline.left()
        try:
            return await asyncio.wait_for(step(*args), left)
        except BelljarError:
            raise
        except asyncio.TimeoutError as error:
            raise wire.late() from error
        except (asyncio.LimitOverrunError, http.client.HTTPException) as error:
            wire.strange(f"{error!r:.200}")
        except (EOFError, OSError) as error:
            raise wire.gone(error) from error


class _Client:
    def __init__(self, settings: wire.Settings) -> None:
        self._settings = settings

    async def _open(self, ask: wire.Ask) -> _Exchange:
        deadline = wire.Deadline(ask.timeout)
        tries = self._settings.retries
        while True:
            exchange = _Exchange(ask, deadline)
            try:
                await exchange.begin(self._settings.socket)
                return exchange
            except Overloaded as error:
                if tries == 0:
                    raise
                tries -= 1
                await asyncio.sleep(deadline.pause(error))

    async def _fetch(self, ask: wire.Ask) -> bytes:
        exchange = await self._open(ask)
        try:
            return await exchange.read()
        finally:
            exchange.close()

    async def _events(self, ask: wire.Ask) -> AsyncGenerator[Event, None]:
        exchange, lines, has_ended = await self._open(ask.streamed()), wire.Lines(), False
        try:
            while piece := await exchange.piece():
                for line in lines.feed(piece):
                    event = wire.event(line) if line.strip() else None
                    if event is not None:
                        has_ended = wire.is_last(event)
                        yield event
            if not has_ended:
                raise wire.gone("its events have no end")
        finally:
            exchange.close()

    async def _do(self, method: str, path: str, body: bytes = b"") -> bytes:
        return await self._fetch(self._settings.ask(method, path, body))


class AsyncRun(_Client):
    """A run that nobody has to wait for."""

    def __init__(self, settings: wire.Settings, id: str) -> None:
        super().__init__(settings)
        self.id = id

    async def status(self) -> str:
        """``queued``, ``running``, or how it ended."""
        return str(wire.answer(await self._do("GET", wire.place("runs", self.id))).get("status"))

    async def wait(self, timeout: Optional[float] = None) -> Outcome:
        """Until it has ended. It goes on if the time passes."""
        deadline = wire.Deadline(timeout)
        while True:
            row = wire.answer(await self._fetch(wire.wait(self._settings, self.id, deadline)))
            if row.get("status") not in ("queued", "running"):
                return wire.outcome(row)

    async def cancel(self) -> None:
        """Ends it, with everything it started."""
        await self._do("DELETE", wire.place("runs", self.id))

    async def write_stdin(self, data: Data) -> None:
        await self._do("POST", wire.place("runs", self.id, "/stdin"), wire.data_bytes(data))

    async def close_stdin(self) -> None:
        await self._do("POST", wire.place("runs", self.id, "/stdin?eof=true"))

    def events(self, since: int = 0) -> AsyncGenerator[Event, None]:
        """What has happened after the event numbered ``since``, and then what happens."""
        path = wire.place("runs", self.id, f"/events?since={since}")
        return self._events(self._settings.ask("GET", path))

    async def artifact(self, path: str) -> bytes:
        return await self._do("GET", wire.artifact_place(self.id, path))


class AsyncSession(_Client):
    """A jar that answers more than once. It begins with ``open``, or with ``async with``."""

    def __init__(self, settings: wire.Settings, options: SessionOptions) -> None:
        super().__init__(settings)
        self._ask = settings.session(options)
        self.id = ""
        #: What was said of it at its beginning.
        self.raw: dict[str, Any] = {}

    async def open(self) -> AsyncSession:
        self.raw = wire.answer(await self._fetch(self._ask))
        self.id = wire.identity(self.raw)
        return self

    async def call(self, code: str, **options: Unpack[CallOptions]) -> Call:
        ask = self._settings.call(self.id, code, options)
        return wire.call(wire.answer(await self._fetch(ask)))

    def stream(self, code: str, **options: Unpack[CallOptions]) -> AsyncGenerator[Event, None]:
        return self._events(self._settings.call(self.id, code, options))

    async def interrupt(self) -> None:
        """Ends the call that goes on, and keeps what there is."""
        await self._do("POST", wire.place("sessions", self.id, "/interrupt"))

    async def close(self) -> None:
        try:
            await self._do("DELETE", wire.place("sessions", self.id))
        except BelljarError as error:
            if error.code != "not_found":
                raise

    async def __aenter__(self) -> AsyncSession:
        return await self.open()

    async def __aexit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        await self.close()


class AsyncSandbox(_Client):
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

    async def run(self, code: Optional[str] = None, **options: Unpack[RunOptions]) -> Outcome:
        """Waits for the outcome. Cancelling the task ends the run."""
        return wire.outcome(wire.answer(await self._fetch(self._settings.run(code, options))))

    def stream(
        self, code: Optional[str] = None, **options: Unpack[RunOptions]
    ) -> AsyncGenerator[Event, None]:
        """What happens, as it happens. Closing it ends the run."""
        return self._events(self._settings.run(code, options))

    async def start(self, code: Optional[str] = None, **options: Unpack[RunOptions]) -> AsyncRun:
        """Begins a run that goes on by itself."""
        row = wire.answer(await self._fetch(self._settings.run(code, options).later()))
        return AsyncRun(self._settings, wire.identity(row))

    def attach(self, id: str) -> AsyncRun:
        """The run of this name, whoever started it."""
        return AsyncRun(self._settings, id)

    def session(self, **options: Unpack[SessionOptions]) -> AsyncSession:
        return AsyncSession(self._settings, options)
