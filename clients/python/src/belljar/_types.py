"""What goes in and what comes out. Every answer tolerates fields of newer services: see ``raw``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, Mapping, Optional, Sequence, TypedDict, Union

__all__ = [
    "Artifact", "BelljarError", "BelljarTimeout", "Call", "CallOptions", "Connection", "Data",
    "Denial", "Denied", "Ended", "Event", "Finding", "Frame", "LayerState", "LimitState", "Limits",
    "Mode", "Network", "Outcome", "Output", "Overloaded", "Queued", "Raised", "Receipt", "Result",
    "RunOptions", "SessionOptions", "Started", "Unreachable",
]

#: Text, or bytes as they are.
Data = Union[str, bytes]

#: How much of its language the code may use.
Mode = Literal["off", "restricted", "standard", "full"]


class Limits(TypedDict, total=False):
    """Those that differ from what the service has."""

    memory_bytes: int
    cpu_ms: int
    wall_ms: int
    descriptors: int
    stdout_bytes: int
    stderr_bytes: int
    processes: int
    disk_bytes: int
    inodes: int
    file_bytes: int
    artifacts: int
    artifact_bytes: int
    connections: int
    network_bytes: int
    network_bytes_per_s: int
    on_output_limit: Literal["truncate", "kill"]


class RunOptions(TypedDict, total=False):
    """What ``run``, ``stream`` and ``start`` take beside the code."""

    args: Sequence[str]
    stdin: Data
    #: Standard input stays open after ``stdin``, for ``Run.write_stdin``.
    stdin_open: bool
    env: Mapping[str, str]
    secrets: Mapping[str, Data]
    #: By their paths in the directory that the code starts in.
    files: Mapping[str, Data]
    #: Which of the files is the code, if there is no other.
    entry: str
    limits: Limits
    #: Patterns of the files that come back as artifacts.
    collect: Sequence[str]
    #: Also the value of the last expression, figures, and exceptions in their parts.
    rich: bool
    labels: Mapping[str, str]
    start: Literal["any", "fresh", "cold"]
    #: Places as ``host:port``, or ``["loopback"]``; none without it.
    network: Sequence[str]
    #: Secrets that stay outside, each for the headers of requests to one place of ``network``.
    secret_hosts: Mapping[str, str]
    #: At most what the operator says.
    mode: Mode
    floor: str
    #: Seconds until the caller leaves, which ends the run. ``limits`` hold without anybody waiting.
    timeout: Optional[float]
    idempotency_key: str


class SessionOptions(TypedDict, total=False):
    """What ``session`` takes."""

    limits: Limits
    call_limits: Limits
    idle_ms: int
    lifetime_ms: int
    env: Mapping[str, str]
    secrets: Mapping[str, Data]
    files: Mapping[str, Data]
    network: Sequence[str]
    secret_hosts: Mapping[str, str]
    mode: Mode
    labels: Mapping[str, str]


class CallOptions(TypedDict, total=False):
    """What ``Session.call`` and ``Session.stream`` take beside the code."""

    stdin: Data
    wall_ms: int
    files: Mapping[str, Data]
    collect: Sequence[str]
    timeout: Optional[float]


@dataclass(frozen=True)
class Artifact:
    path: str
    size_bytes: int
    media_type: str
    #: Nothing where the service only keeps it: ``Run.artifact`` fetches it.
    content: Optional[bytes] = field(default=None, repr=False)


@dataclass(frozen=True)
class Denial:
    """Something that the code tried and was refused."""

    kind: str = ""
    what: str = ""
    rule: str = ""
    hint: str = ""
    count: int = 1


@dataclass(frozen=True)
class Connection:
    """One that the code asked for."""

    host: str = ""
    port: int = 0
    #: What it was pinned to, with the port.
    address: Optional[str] = None
    opened_ms: float = 0.0
    duration_ms: float = 0.0
    sent_bytes: int = 0
    received_bytes: int = 0
    #: ``closed``, or why it was refused or cut off.
    verdict: str = ""


@dataclass(frozen=True)
class Network:
    """What a run made of its network."""

    #: ``loopback`` or ``gate``.
    kind: str = ""
    grants: tuple[str, ...] = ()
    sent_bytes: int = 0
    received_bytes: int = 0
    connections: tuple[Connection, ...] = ()
    #: How many more there were.
    unrecorded_connections: int = 0


@dataclass(frozen=True)
class Finding:
    """Where code breaks the rules of its language, and what to write instead."""

    file: str = ""
    line: int = 0
    column: int = 0
    rule: str = ""
    text: str = ""
    message: str = ""
    advice: str = ""


@dataclass(frozen=True)
class LayerState:
    layer: str = ""
    state: str = ""
    how: str = ""
    cost_us: int = 0


@dataclass(frozen=True)
class LimitState:
    limit: str = ""
    state: str = ""
    how: str = ""


@dataclass(frozen=True)
class Receipt:
    """What was in force."""

    floor: str = ""
    level: str = ""
    layers: tuple[LayerState, ...] = ()
    limits: tuple[LimitState, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Result:
    """The value of the last expression."""

    text: str = ""
    html: Optional[str] = None
    json: Any = None


@dataclass(frozen=True)
class Frame:
    file: str = ""
    line: int = 0
    function: str = ""
    code: str = ""


@dataclass(frozen=True)
class Raised:
    """An exception that nothing in the code caught."""

    type: str = ""
    message: str = ""
    traceback: tuple[Frame, ...] = ()


@dataclass(frozen=True)
class _Answer:
    id: str = ""
    status: str = ""
    message: str = ""
    stdout_bytes: bytes = b""
    stderr_bytes: bytes = b""
    stdout_dropped_bytes: int = 0
    stderr_dropped_bytes: int = 0
    wall_ms: float = 0.0
    cpu_ms: float = 0.0
    memory_peak_bytes: int = 0
    artifacts: tuple[Artifact, ...] = ()
    artifact_errors: tuple[str, ...] = ()
    result: Optional[Result] = None
    error: Optional[Raised] = None
    #: The answer as it came.
    raw: Mapping[str, Any] = field(default_factory=lambda: {}, repr=False, compare=False)

    @property
    def ok(self) -> bool:
        return self.status == "ok"

    @property
    def stdout(self) -> str:
        """As text; ``stdout_bytes`` has what is none."""
        return self.stdout_bytes.decode("utf-8", "replace")

    @property
    def stderr(self) -> str:
        return self.stderr_bytes.decode("utf-8", "replace")


@dataclass(frozen=True)
class Outcome(_Answer):
    """How a run ended. Whatever the code did is an outcome, and no exception."""

    runtime: str = ""
    exit_code: Optional[int] = None
    signal: Optional[int] = None
    processes_peak: int = 0
    timings_ms: Mapping[str, float] = field(default_factory=lambda: {})
    start: str = ""
    denials: tuple[Denial, ...] = ()
    #: Nothing for a run without one.
    network: Optional[Network] = None
    #: Of the rules of its language.
    mode: str = "full"
    limits: Mapping[str, Any] = field(default_factory=lambda: {})
    receipt: Receipt = Receipt()
    labels: Mapping[str, str] = field(default_factory=lambda: {})
    created_at: Optional[str] = None


@dataclass(frozen=True)
class Call(_Answer):
    """How a call of a session ended. ``outcome`` says why, if the session ended with it."""

    session: str = ""
    call: int = 0
    outcome: Optional[Outcome] = None


@dataclass(frozen=True)
class Queued:
    seq: int
    id: str


@dataclass(frozen=True)
class Started:
    """It runs, behind walls that were looked at."""

    seq: int
    id: str


@dataclass(frozen=True)
class Output:
    """What was written, as it was: a character may lie in two of these."""

    seq: int
    stream: Literal["stdout", "stderr"]
    data: bytes

    @property
    def text(self) -> str:
        return self.data.decode("utf-8", "replace")


@dataclass(frozen=True)
class Denied:
    seq: int
    denial: Denial


@dataclass(frozen=True)
class Ended:
    """The last. ``outcome`` is a ``Call`` in the stream of a session's call."""

    seq: int
    outcome: Union[Outcome, Call]


Event = Union[Queued, Started, Output, Denied, Ended]


class BelljarError(Exception):
    """Nothing was run, or belljar failed."""

    def __init__(
        self,
        code: str,
        message: str,
        *,
        fault: str = "host",
        may_retry: bool = False,
        retry_after_ms: Optional[int] = None,
        hint: Optional[str] = None,
        status: Optional[int] = None,
        findings: tuple[Finding, ...] = (),
        raw: Optional[Mapping[str, Any]] = None,
    ) -> None:
        super().__init__(f"{code}: {message}" + (f" ({hint})" if hint else ""))
        self.code = code
        self.message = message
        #: Whose it is: ``caller``, ``host`` or ``belljar``.
        self.fault = fault
        self.may_retry = may_retry
        self.retry_after_ms = retry_after_ms
        self.hint = hint
        #: Of HTTP, if that far.
        self.status = status
        #: Of ``policy_refused``: where the code breaks the rules of its language.
        self.findings = findings
        self.raw: Mapping[str, Any] = raw or {}


class Overloaded(BelljarError):
    """Too much at one time. Later it may go: see ``retries`` of a sandbox."""


class Unreachable(BelljarError):
    """Nobody listens, or whoever does went away before the answer was there."""


class BelljarTimeout(BelljarError, TimeoutError):
    """``timeout`` passed. A run that was waited for ends with it."""
