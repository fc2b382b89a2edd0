"""The values that flow from hosts.toml to the run report, one per stage; nothing here does I/O."""

import re
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from pullagent.errors import NoSuchSnapshot, PullAgentError, Stopped, UsageError

if TYPE_CHECKING:
    from pullagent.manifest import Manifest

ID_FORMAT = "%Y-%m-%dT%H%M%SZ"
NAME_PATTERN = r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}"
_NAME = re.compile(NAME_PATTERN)
_ID = re.compile(r"\d{4}-\d{2}-\d{2}T\d{6}Z", re.ASCII)


def is_safe_name(name: str) -> bool:
    """Whether `name` may name a host or a source: it becomes a directory and a part of references."""
    return _NAME.fullmatch(name) is not None


def is_snapshot_id(text: str) -> bool:
    """Whether `text` has the form of a snapshot's id and is a real UTC time."""
    if _ID.fullmatch(text) is None:
        return False
    try:
        id_time(text)
    except ValueError:
        return False
    return True


def snapshot_id(moment: datetime) -> str:
    """The id of a pull that starts at `moment` (aware, any zone), to the second in UTC."""
    return moment.astimezone(UTC).strftime(ID_FORMAT)


@lru_cache(maxsize=1 << 14)
def id_time(identifier: str) -> datetime:
    """The UTC time that a snapshot's id stands for; ValueError when it stands for none."""
    # strptime takes ten times as long, and a list asks for thousands
    year, month, day, clock = identifier[:4], identifier[5:7], identifier[8:10], identifier[11:]
    hour, minute, second = clock[:2], clock[2:4], clock[4:6]
    return datetime(int(year), int(month), int(day), int(hour), int(minute), int(second), tzinfo=UTC)


def rfc3339(moment: datetime) -> str:
    """`moment` as RFC 3339 in UTC with `Z`, to the second."""
    return moment.astimezone(UTC).isoformat(timespec="seconds").removesuffix("+00:00") + "Z"


@dataclass(frozen=True, order=True)
class SourceName:
    """Names one source of one host, written `HOST/SOURCE`."""

    host: str
    source: str

    def __str__(self) -> str:
        return f"{self.host}/{self.source}"


@dataclass(frozen=True, order=True)
class SnapshotRef:
    """Names one snapshot, written `HOST/SOURCE@ID`."""

    name: SourceName
    id: str

    def __str__(self) -> str:
        return f"{self.name.host}/{self.name.source}@{self.id}"

    def __hash__(self) -> int:
        # the name's own would be asked for at each look into a dict of thousands
        return hash((self.name.host, self.name.source, self.id))


@dataclass(frozen=True)
class RefQuery:
    """A reference as typed: `which` is an id, a prefix of one, or `latest`."""

    name: SourceName
    which: str

    @classmethod
    def parse(cls, text: str) -> "RefQuery":
        """Read `HOST/SOURCE@ID`, `@latest` or `@PREFIX`; NoSuchSnapshot for any other form."""
        head, at, which = text.partition("@")
        host, slash, source = head.partition("/")
        well_formed = at and slash and is_safe_name(host) and is_safe_name(source)
        if not well_formed or not re.fullmatch(r"latest|[0-9]{4}[0-9TZ-]*", which):
            raise NoSuchSnapshot(
                f"{text!r} is not a reference to a snapshot",
                "write HOST/SOURCE@ID, HOST/SOURCE@latest or HOST/SOURCE@2026-11-22; `pullagent list` shows them",
            )
        return cls(SourceName(host, source), which)


@dataclass(frozen=True)
class Address:
    """Where to log in: `[USER@]HOST[:PORT]`; an IPv6 host with a port stands in brackets."""

    host: str
    port: int | None = None
    user: str | None = None

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Read `[USER@]HOST[:PORT]`; UsageError where it is not of that form."""
        match = re.fullmatch(
            r"(?:(?P<user>[A-Za-z0-9_][A-Za-z0-9._-]*)@)?"
            r"(?:\[(?P<six>[0-9A-Fa-f:.%a-z]+)\]|(?P<host>[A-Za-z0-9_][A-Za-z0-9._-]*)|(?P<bare>[0-9A-Fa-f]*:[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*))"
            r"(?::(?P<port>[0-9]{1,5}))?",
            text,
        )
        port = int(match["port"]) if match and match["port"] else None
        if match is None or (port is not None and not 0 < port < 65536):
            raise UsageError(f"{text!r} is not an address", "write [USER@]HOST[:PORT], such as root@pavroto-2:22")
        return cls(match["six"] or match["host"] or match["bare"], port, match["user"])

    @property
    def place(self) -> str:
        """`HOST[:PORT]`, without the port of SSH."""
        if self.port in (None, 22):
            return self.host
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Check(Protocol):
    """Judges a stream by its content while it passes."""

    def feed(self, chunk: bytes) -> None:
        """Look at the next bytes; ContentError as soon as they cannot be right."""

    def finish(self) -> None:
        """The stream has ended; ContentError when it is not whole."""


class NoCheck:
    """For artifacts that the agent itself composed from answers it has already read whole."""

    def feed(self, chunk: bytes) -> None:
        """Accept anything."""

    def finish(self) -> None:
        """Accept any end."""


class Packed(bytes):
    """Plain bytes of a stream that came compressed, with the zstd bytes that they came as.

    These follow one another in one frame, `at` bytes after its beginning, up to the `last`. Bytes that are cut or
    changed on the way are plain `bytes` again.
    """

    packed: bytes
    at: int
    last: bool

    @classmethod
    def of(cls, plain: bytes, packed: bytes, at: int, *, last: bool = False) -> "Packed":
        """`plain`, which came as `packed`."""
        made = cls(plain)
        made.packed, made.at, made.last = packed, at, last
        return made


@dataclass(frozen=True)
class Manner:
    """How a host's streams go over the wire. `nice`: at low priority there. `wire`: compressed there, or as they are,
    or as each pull finds better.
    """

    wire: Literal["plain", "zstd", "auto"] = "plain"
    nice: bool = False


@dataclass(frozen=True)
class Artifact:
    """One file of a snapshot to be: its name, its bytes, and the check they must pass.

    Exhausting `stream` without an error means that the remote side ended well.
    """

    name: str
    stream: Iterable[bytes]
    check: Check = field(default_factory=NoCheck)


@dataclass(frozen=True)
class Sealed:
    """An artifact as it lies on disk, compressed and encrypted. Sizes in bytes, hashes SHA-256 in hex."""

    name: str
    file: str
    plain_bytes: int
    plain_sha256: str
    stored_bytes: int
    stored_sha256: str


@dataclass
class Findings:
    """What a source learns of its host while it pulls; it goes into the manifest."""

    server_kind: str | None = None
    server_version: str | None = None
    tools: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    """What is told besides, and not kept: the manifest is not encrypted."""

    def warn(self, text: str) -> None:
        """Add a warning, once."""
        if text not in self.warnings:
            self.warnings.append(text)

    def tell(self, text: str) -> None:
        """Add what names things of the host's: whoever watches the pull hears of it, the manifest does not."""
        if text not in self.told:
            self.told.append(text)


@dataclass(frozen=True)
class Snapshot:
    """One snapshot in the store. `state` is good, shrunk or damaged; damaged ones may lack a manifest.

    `folder` is that of all snapshots of its source.
    """

    ref: SnapshotRef
    folder: Path
    state: str
    manifest: "Manifest | None"
    pinned: bool = False
    problem: str = ""

    @cached_property
    def path(self) -> Path:
        """Its directory. To make a path takes as long as to look at a file, and a list needs none."""
        return self.folder / self.ref.id

    @cached_property
    def taken(self) -> datetime:
        """When its pull began (UTC)."""
        return id_time(self.ref.id)

    @property
    def plain_bytes(self) -> int | None:
        """Size of all artifacts before compression, in bytes."""
        return None if self.manifest is None else sum([a.plain_bytes for a in self.manifest.artifacts])

    @property
    def stored_bytes(self) -> int | None:
        """Size of all artifacts in the store, in bytes."""
        return None if self.manifest is None else sum([a.stored_bytes for a in self.manifest.artifacts])

    @property
    def took_s(self) -> float | None:
        """How long the pull took, in seconds."""
        return None if self.manifest is None else (self.manifest.finished - self.manifest.taken).total_seconds()


@dataclass(frozen=True)
class Outcome:
    """How the pull of one source ended. `outcome` is stored, failed or skipped."""

    name: SourceName
    outcome: str
    took_s: float
    ref: SnapshotRef | None = None
    error: str | None = None
    hint: str | None = None
    exit_code: int = 0
    plain_bytes: int | None = None
    stored_bytes: int | None = None
    warnings: tuple[str, ...] = ()
    shrunk: bool = False
    packed: bool = False
    """Whether the host compressed its streams."""
    lasting: bool = False
    """Whether it would fail again however often it is tried, until somebody acts."""

    @classmethod
    def failure(cls, name: SourceName, took_s: float, error: PullAgentError) -> "Outcome":
        """A pull that `error` ended after `took_s` seconds."""
        return cls(
            name,
            "failed",
            took_s,
            error=error.message,
            hint=error.hint,
            exit_code=error.exit_code,
            lasting=error.lasting,
        )

    def with_warning(self, text: str) -> "Outcome":
        """The same, and one more warning."""
        return replace(self, warnings=(*self.warnings, text))


@dataclass(frozen=True)
class Refusal:
    """Why nothing was removed, and what to do about it."""

    reason: str
    hint: str


@dataclass(frozen=True)
class RunReport:
    """One run over several sources; `pruned` went afterwards, or none did, as `refused` says."""

    id: str
    started: datetime
    ended: datetime
    outcomes: tuple[Outcome, ...]
    pruned: tuple[SnapshotRef, ...] = ()
    refused: Refusal | None = None
    problems: tuple[str, ...] = ()
    """What went wrong beside the backups: a notification, the textfile."""

    @property
    def exit_code(self) -> int:
        """0 all stored; 5 all stored, but some shrank or prune refused; 3 some failed; all failed: their code, or 1."""
        codes = {o.exit_code for o in self.outcomes if o.outcome != "stored"}
        if not codes:
            return 5 if self.refused or any(o.shrunk for o in self.outcomes) else 0
        if any(o.outcome == "stored" for o in self.outcomes):
            return 3
        return codes.pop() if len(codes) == 1 else 1

    def with_warning(self, text: str) -> "RunReport":
        """The same, with a warning that concerns them all: told of the first source."""
        first, *others = self.outcomes
        return replace(self, outcomes=(first.with_warning(text), *others))


class Observer:
    """Hears of progress; the default hears nothing. Called from several threads at once."""

    def started(self, job: str, step: str, total_bytes: int | None = None) -> None:
        """`job` (`HOST/SOURCE`) begins `step`; `total_bytes` where the size is known."""

    def advanced(self, job: str, count: int) -> None:
        """`count` more bytes of the present step have passed."""

    def noted(self, job: str, text: str) -> None:
        """Something was decided that whoever reads the log may want to know."""

    def retrying(self, names: Sequence[SourceName], pause_s: float, attempt: int, attempts: int) -> None:
        """`names` failed, and are tried again after `pause_s` seconds: attempt number `attempt` of `attempts`."""

    def warned(self, text: str) -> None:
        """Something beside the backups went wrong: a notification was not delivered, say."""

    def defect(self, trace: str) -> None:
        """A defect of pullagent's own ended the pull of a source; `trace` is Python's account of it."""

    def ended(self, outcome: "Outcome") -> None:
        """The pull of a source is over."""


class StopSignal:
    """Tells every worker thread that the run is to end (Ctrl-C or SIGTERM)."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def set(self) -> None:
        """Ask everyone to stop."""
        self._event.set()

    def is_set(self) -> bool:
        """Whether a stop was asked for."""
        return self._event.is_set()

    def wait(self, seconds: float) -> bool:
        """Sleep for up to `seconds`; True as soon as a stop is asked for."""
        return self._event.wait(seconds)

    def check(self) -> None:
        """Raise Stopped if a stop was asked for."""
        if self.is_set():
            raise Stopped("stopped before it was done", "run it again")
