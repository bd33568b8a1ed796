"""Requests and answers as bytes, for both kinds of input and output."""

from __future__ import annotations

import base64
import dataclasses
import json
import os
import time
from typing import Any, Iterator, Mapping, NamedTuple, NoReturn, Optional, TypeVar, Union, cast
from urllib.parse import quote

from ._types import Artifact, BelljarError, BelljarTimeout, Call, CallOptions, Connection, Data
from ._types import Denial, Denied, Ended, Event, Finding, Frame, LayerState, Limits, LimitState
from ._types import Network, Outcome, Output, Overloaded, Queued, Raised, Receipt, Result
from ._types import RunOptions, SessionOptions, Started, Unreachable

API = "1"
#: More than any answer with all that a run may write.
MOST_ANSWER_BYTES = 1 << 30
MOST_PROBLEM_BYTES = 1 << 20
#: The longest line of a head, and all of a head where we read it.
MOST_HEAD_BYTES = 1 << 16
PIECE_BYTES = 1 << 16
#: How long the service is asked to hold the line until a run has ended.
WAIT_MS = 30_000
#: How long is waited where the service does not say.
RETRY_MS, MOST_RETRY_MS = 1000, 30_000
#: For a place in the queue of a socket.
CONNECT_SECONDS, CONNECT_PAUSE_SECONDS = 30.0, 0.01

T = TypeVar("T")


class Ask(NamedTuple):
    """One request."""

    method: str
    path: str
    headers: Mapping[str, str] = {}
    body: bytes = b""
    timeout: Optional[float] = None

    def streamed(self) -> Ask:
        return self._replace(headers={**self.headers, "Accept": "application/x-ndjson"})

    def later(self) -> Ask:
        return self._replace(headers={**self.headers, "Prefer": "respond-async"})


class Deadline:
    """The time that is left, if it ends at all."""

    def __init__(self, seconds: Optional[float]) -> None:
        self._end = None if seconds is None else time.monotonic() + seconds

    def left(self) -> Optional[float]:
        if self._end is None:
            return None
        left = self._end - time.monotonic()
        if left <= 0:
            raise late()
        return left

    def pause(self, error: BelljarError) -> float:
        """How long to wait before the next try; raises ``error`` if it would be too late."""
        asked = RETRY_MS if error.retry_after_ms is None else error.retry_after_ms
        seconds = min(max(asked, 1), MOST_RETRY_MS) / 1000
        left = self.left()
        if left is not None and left <= seconds:
            raise error
        return seconds


class Settings(NamedTuple):
    """What all requests of a sandbox share."""

    runtime: str
    socket: str
    limits: Limits
    tenant: Optional[str]
    retries: int

    def run(self, code: Optional[str], options: RunOptions) -> Ask:
        row: dict[str, Any] = {"runtime": self.runtime, "code": code}
        row.update(_row(options, RunOptions))
        row["limits"] = {**self.limits, **options.get("limits", {})}
        row.pop("timeout", None)
        key = row.pop("idempotency_key", None)
        ask = self.ask("POST", "/v1/runs", row, options.get("timeout"))
        if key is not None:
            ask = ask._replace(headers={**ask.headers, "Idempotency-Key": _word(key)})
        return ask

    def session(self, options: SessionOptions) -> Ask:
        row = {"runtime": self.runtime, **_row(options, SessionOptions)}
        row["limits"] = {**self.limits, **options.get("limits", {})}
        return self.ask("POST", "/v1/sessions", row)

    def call(self, session: str, code: str, options: CallOptions) -> Ask:
        row = {"code": code, **_row(options, CallOptions)}
        row.pop("timeout", None)
        return self.ask("POST", f"{place('sessions', session)}/calls", row, options.get("timeout"))

    def ask(
        self,
        method: str,
        path: str,
        body: Union[bytes, Mapping[str, Any]] = b"",
        timeout: Optional[float] = None,
    ) -> Ask:
        headers = {"Accept": "application/json"}
        if self.tenant is not None:
            headers["X-Belljar-Tenant"] = _word(self.tenant)
        if isinstance(body, bytes):
            headers["Content-Type"] = "application/octet-stream"
        else:
            headers["Content-Type"] = "application/json"
            wanted = {name: value for name, value in body.items() if value is not None}
            body = json.dumps(wanted, ensure_ascii=False).encode()
        return Ask(method, path, headers, body, timeout)


def settings(
    runtime: str,
    socket: Union[str, os.PathLike[str], None],
    limits: Optional[Limits],
    tenant: Optional[str],
    retries: int,
) -> Settings:
    return Settings(runtime, os.fspath(socket or usual_socket()), limits or {}, tenant, retries)


def usual_socket() -> str:
    named = os.environ.get("BELLJAR_SOCKET")
    own = os.environ.get("XDG_RUNTIME_DIR", "")
    return named or (f"{own}/belljar.sock" if os.path.isabs(own) else "/run/belljar.sock")


def place(kind: str, name: str, rest: str = "") -> str:
    return f"/v1/{kind}/{quote(name, safe='')}{rest}"


def artifact_place(run: str, path: str) -> str:
    return place("runs", run, f"/artifacts/{quote(path)}")


def data_bytes(data: Data) -> bytes:
    return data.encode() if isinstance(data, str) else bytes(data)


def check_head(status: int, api: Optional[str]) -> bool:
    """Whether the answer is what was asked for, and no problem."""
    if api is not None and api != API:
        strange(f"it speaks version {api[:20]} of the interface, and this client {API}")
    return 200 <= status < 300


def problem(status: int, retry_after: Optional[str], body: bytes) -> BelljarError:
    row = _object(body)
    if row is None or not isinstance(row.get("code"), str):
        strange(f"it says {status}")
    if row.get("retry_after_ms") is None and (retry_after or "").isdigit():
        row["retry_after_ms"] = int(cast(str, retry_after)) * 1000
    return _error(row, status)


def answer(body: bytes) -> dict[str, Any]:
    """An object of JSON."""
    row = _object(body)
    if row is None:
        strange("its answer is no object of JSON")
    return row


def identity(row: Mapping[str, Any]) -> str:
    if not isinstance(row.get("id"), str):
        strange("it names nothing")
    return cast(str, row["id"])


def outcome(row: Mapping[str, Any]) -> Outcome:
    receipt: Any = row.get("receipt") or {}
    try:
        return build(
            Outcome,
            row,
            **_ended(row),
            id=identity(row),
            denials=_many(Denial, row.get("denials")),
            network=_network(row.get("network")),
            receipt=build(
                Receipt,
                receipt,
                layers=_many(LayerState, receipt.get("layers")),
                limits=_many(LimitState, receipt.get("limits")),
                notes=tuple(receipt.get("notes") or ()),
            ),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        strange(f"its outcome cannot be understood: {error!r}")


def call(row: Mapping[str, Any]) -> Call:
    why = row.get("outcome")
    try:
        return build(Call, row, **_ended(row), outcome=None if why is None else outcome(why))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        strange(f"its answer cannot be understood: {error!r}")


def event(line: bytes) -> Optional[Event]:
    """Nothing for what only newer clients know; raises what the service says went wrong."""
    row = answer(line)
    name, seq = row.get("event"), row.get("seq", 0)
    try:
        if name == "queued":
            return Queued(seq, row["id"])
        if name == "started":
            return Started(seq, row["id"])
        if name == "stdout" or name == "stderr":
            return Output(seq, name, _decode(row["content"], row.get("encoding")))
        if name == "denial":
            return Denied(seq, build(Denial, row))
        if name == "outcome":
            ended = row["outcome"]
            return Ended(seq, call(ended) if "call" in ended else outcome(ended))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        strange(f"its event cannot be understood: {error!r}")
    if name == "problem":
        raise _error(row.get("problem") or {}, None)
    return None


def is_last(event: Event) -> bool:
    return isinstance(event, Ended)


def wait(settings: Settings, run: str, deadline: Deadline) -> Ask:
    """Holds the line for as long as both sides may."""
    left = deadline.left()
    held_ms = WAIT_MS if left is None else min(WAIT_MS, int(left * 1000) + 1)
    return settings.ask("GET", place("runs", run, f"?wait_ms={held_ms}"), timeout=left)


class Lines:
    """Pieces of an answer, put together line by line."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._bytes = 0

    def feed(self, piece: bytes) -> Iterator[bytes]:
        *whole, rest = piece.split(b"\n")
        for line in whole:
            yield b"".join([*self._parts, line])
            self._parts, self._bytes = [], 0
        self._parts.append(rest)
        self._bytes += len(rest)
        if self._bytes > MOST_ANSWER_BYTES:
            strange("its line does not end")


def build(kind: type[T], row: Mapping[str, Any], **parsed: Any) -> T:
    """What this version knows of ``row``."""
    known = {known.name for known in dataclasses.fields(cast(Any, kind))}
    return kind(**{**{name: row[name] for name in row if name in known}, **parsed})


def gone(error: object) -> Unreachable:
    return Unreachable("unreachable", f"the service went away: {error}", may_retry=True)


def absent(socket: str, error: object) -> Unreachable:
    hint = "start one with: belljar serve"
    return Unreachable("unreachable", f"no service at {socket}: {error}", may_retry=True, hint=hint)


def late() -> BelljarTimeout:
    return BelljarTimeout("timeout", "the time that was given has passed", fault="caller")


def strange(why: str) -> NoReturn:
    raise BelljarError("internal", f"this is no service of belljar: {why}")


def _object(body: bytes) -> Optional[dict[str, Any]]:
    try:
        row: Any = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return cast("dict[str, Any]", row) if isinstance(row, dict) else None


def _error(row: Mapping[str, Any], status: Optional[int]) -> BelljarError:
    code = str(row.get("code", "internal"))
    kind = Overloaded if code == "overloaded" else BelljarError
    after = row.get("retry_after_ms")
    return kind(
        code,
        str(row.get("message") or row.get("detail") or code),
        fault=str(row.get("fault", "belljar")),
        may_retry=row.get("may_retry") is True,
        retry_after_ms=int(after) if isinstance(after, (int, float)) else None,
        hint=row.get("hint"),
        status=status,
        findings=_findings(row),
        raw=row,
    )


def _row(options: Mapping[str, Any], kind: type[Any]) -> dict[str, Any]:
    """Options as the service has them."""
    unknown = sorted(set(options) - set(kind.__annotations__))
    if unknown:
        raise TypeError(f"no such option: {', '.join(unknown)}")
    row = {name: value for name, value in options.items() if value is not None}
    if "stdin" in row:
        row["stdin"] = _encode(row["stdin"])
    if "secrets" in row:
        row["secrets"] = {name: _encode(value) for name, value in row["secrets"].items()}
    if "files" in row:
        row["files"] = [{"path": path, **_content(it)} for path, it in row["files"].items()]
    for name in ("args", "collect", "network"):
        if isinstance(row.get(name), str):
            raise TypeError(f"{name}: a list of strings, and not one string")
        if name in row:
            row[name] = list(row[name])
    return row


def _encode(data: Data) -> Any:
    return data if isinstance(data, str) else _content(data)


def _content(data: Data) -> dict[str, str]:
    if isinstance(data, str):
        return {"content": data}
    return {"content": base64.b64encode(data).decode(), "encoding": "base64"}


def _decode(content: str, encoding: Optional[str]) -> bytes:
    return base64.b64decode(content, validate=True) if encoding == "base64" else content.encode()


def _ended(row: Mapping[str, Any]) -> dict[str, Any]:
    """What outcomes and answers of calls have in common."""
    encoding, result, error = row.get("encoding"), row.get("result"), row.get("error")
    traceback = _many(Frame, error.get("traceback")) if error else ()
    return {
        "status": str(row["status"]),
        "stdout_bytes": _decode(row.get("stdout", ""), encoding),
        "stderr_bytes": _decode(row.get("stderr", ""), encoding),
        "artifacts": tuple(_artifact(it) for it in row.get("artifacts") or ()),
        "artifact_errors": tuple(row.get("artifact_errors") or ()),
        "result": build(Result, result) if result else None,
        "error": build(Raised, error, traceback=traceback) if error else None,
        "raw": row,
    }


def _network(row: Optional[Mapping[str, Any]]) -> Optional[Network]:
    if row is None:
        return None
    connections = _many(Connection, row.get("connections"))
    return build(Network, row, grants=tuple(row.get("grants") or ()), connections=connections)


def _findings(row: Mapping[str, Any]) -> tuple[Finding, ...]:
    rows = row.get("findings")
    return _many(Finding, [it for it in rows if isinstance(it, dict)] if isinstance(rows, list) else ())


def _artifact(row: Mapping[str, Any]) -> Artifact:
    content = row.get("content")
    content = None if content is None else base64.b64decode(content, validate=True)
    return Artifact(row["path"], row["bytes"], row.get("media_type", ""), content)


def _many(kind: type[T], rows: Any) -> tuple[T, ...]:
    return tuple(build(kind, row) for row in rows or ())


def _word(value: str) -> str:
    """For a line of a head, which it must not leave."""
    if not value.isascii() or not value.isprintable():
        raise ValueError(f"{value!r}: printable ASCII only")
    return value
