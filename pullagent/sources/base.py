"""The seam between source kinds and everything else: what a kind must offer, and what it may ask of a host."""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, ClassVar, NoReturn, Protocol, runtime_checkable

from pullagent.checks.tree import Member
from pullagent.diagnosis import Diagnosis
from pullagent.errors import ContentError, HostError, UsageError
from pullagent.fields import Checked
from pullagent.manifest import Manifest, Server
from pullagent.model import Address, Artifact, Check, Findings, StopSignal


def _absolute(path: str) -> str:
    if not path.startswith("/") or re.search(r"[\x00-\x1f\x7f]", path) or ".." in path.split("/"):
        raise ValueError(f"found {path!r}; write an absolute path on the host")
    return path


def once(names: tuple[str, ...]) -> tuple[str, ...]:
    """Refuses a list in hosts.toml that names something twice."""
    if len(set(names)) < len(names):
        raise ValueError(f"found {', '.join(names)}; name each once")
    return names


RemotePath = Annotated[str, Checked(_absolute)]


def prologue(what: str) -> str:
    """What every remote command begins with: a line that names it, and a locale that messages can be judged in."""
    return f"# pullagent: {what}\nLC_ALL=C; export LC_ALL\n"


class Stream(Protocol):
    """Output of a remote command; iterating ends without an error only if the command ended with a good status."""

    def __iter__(self) -> Iterator[bytes]: ...

    @property
    def status(self) -> int | None:
        """Its exit status, one of the good ones; None until the stream has ended."""

    @property
    def stderr(self) -> str:
        """What it wrote to standard error (the last 64 KiB)."""


class Remote(Protocol):
    """A production host as a source sees it; see `pullagent.host.Host`."""

    name: str

    def open(self, command: str, good: tuple[int, ...] = (0,)) -> Stream:
        """Start a command whose output is to be read as it comes."""

    def read(self, command: str, limit: int = 16 << 20) -> bytes:
        """All that a command writes to standard output, at most `limit` bytes."""

    def send(self, command: str, chunks: Iterator[bytes], stop: StopSignal | None = None) -> bytes:
        """Run a command with `chunks` as its standard input; the tail of its output. `stop` ends this one alone."""

    def converse(self, command: str, chunks: Iterator[bytes], stop: StopSignal | None = None) -> Stream:
        """Start a command that reads `chunks`, as they come, while its output is read. `stop` ends this one alone."""

    def to(self, address: Address) -> AbstractContextManager["Remote"]:
        """Another account or server, with the same key and the same pinned host keys; itself where it is the same."""


class Machine(Remote, Protocol):
    """This machine, as the account that throwaway servers run as. All that is started or written here goes with it."""

    directory: Path
    """The account's home, its own; elsewhere here it may only read."""
    plugins: Path
    empty: Path
    """Directories that stay empty, but for what a kind puts into `plugins`."""

    def programs(self, name: str) -> list[Path]:
        """The programs of this name, in the order of PATH."""

    def offer(self, name: str, program: Path) -> None:
        """Have commands find `program` under this name."""

    def free_port(self) -> int:
        """A loopback TCP port that nothing listens on."""

    def serve(self, argv: Sequence[str], ready: str) -> None:
        """Start a server; returns once the command `ready` ends well. HostError when it does not."""


class Opened(Protocol):
    """A snapshot whose artifacts can be read in clear."""

    manifest: Manifest

    def chunks(self, name: str) -> AbstractContextManager[Iterator[bytes]]:
        """The plain bytes of one artifact, checked against the manifest at their end."""

    def quietly(self, name: str) -> AbstractContextManager[Iterator[bytes]]:
        """As `chunks`, without telling anybody of progress; for who reads side by side, or a part of it."""

    def read(self, name: str) -> bytes:
        """The whole of a small artifact."""

    def step(self, text: str, total_bytes: int | None = None) -> None:
        """Tell whoever watches what is done now, and how many bytes it will be."""

    def advanced(self, count: int) -> None:
        """Tell them that `count` more bytes are done."""


@dataclass(frozen=True)
class RestoreOptions:
    """How a restore is wanted. `replace`: drop what stands in its place. `into`: another database name, or a directory.
    `tables`: only these. `schema_only`: without rows. `plain`: as the stock client would, in one session. `jobs`:
    sessions at once. `config_files`: put them in place too. `paths`: only these files, and what lies below them.
    """

    replace: bool = False
    into: str | None = None
    tables: tuple[str, ...] = ()
    schema_only: bool = False
    plain: bool = False
    jobs: int = 4
    config_files: bool = False
    paths: tuple[str, ...] = ()

    def check_into(self, database_name: Callable[[str], str]) -> None:
        """UsageError where `into` is given, and is no name that a database may have."""
        if self.into is None:
            return
        try:
            database_name(self.into)
        except ValueError as error:
            raise UsageError(f"--into: {error}", "a name that is not in use there, such as NAME_restored") from error

    def refuse_unfit(self, kind: type["Source"]) -> None:
        """UsageError where something is chosen that snapshots of `kind` do not have."""
        for name, flag in CHOICES.items():
            if getattr(self, name) and name not in kind.restore_takes:
                taken = [other for field, other in CHOICES.items() if field in kind.restore_takes]
                hint = f"what it takes: {', '.join(taken)}" if taken else "leave it out"
                raise UsageError(f"{flag} means nothing to a snapshot of kind {kind.kind}", hint)


CHOICES = {"tables": "--table", "schema_only": "--schema-only", "config_files": "--config-files", "paths": "--path"}
"""The options of a restore that choose a part, and so depend on what there is."""


@dataclass(frozen=True)
class Restored:
    """One thing that a restore should have brought back: what was expected, and found. `expected` None: only told."""

    name: str
    kind: str
    expected: str | int | None
    found: str | int | None

    @property
    def equal(self) -> bool:
        """Whether it came back as it was."""
        return self.expected is None or self.expected == self.found


@contextmanager
def stored_inventory(snapshot: Opened) -> Iterator[Any]:
    """A snapshot's inventory.json; ContentError for any surprise while it is made use of."""
    try:
        yield json.loads(snapshot.read("inventory.json"))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ContentError("inventory.json does not hold what an inventory of its kind must") from error


class Restoration(Protocol):
    """One restore of a snapshot onto a target."""

    def preflight(self) -> Iterator[Diagnosis]:
        """What the target is and holds, found without changing anything. It may be acted on when nothing failed."""

    def act(self) -> list[Restored]:
        """Put it back, and compare what is there with what was stored.

        RestoreError, which says what the target then holds, when it fails half-way.
        """

    def discard(self) -> None:
        """Drop the database of another name (`into`) that `act` made."""


@dataclass(frozen=True)
class Bench:
    """What this machine lends a source that keeps a copy here: a directory of its own, the time (UTC), the signal to
    stop, how many bytes of that file system must stay free, and whom to tell of bytes that came from upstream.
    """

    directory: Path
    now: datetime
    stop: StopSignal = field(default_factory=StopSignal)
    min_free_bytes: int = 0
    advanced: Callable[[int], None] = lambda count: None


@dataclass(frozen=True)
class Followed:
    """How a copy stands after a comparison with its upstream.

    `agree`: whether it holds what upstream shows now. `changed`: how many refs moved, came or went; `kept`: the names
    under which what upstream gave up stays; `counts`: what it holds, empty where nothing was looked at.
    """

    agree: bool
    changed: int = 0
    kept: tuple[str, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    version: str | None = None
    """Of the program that upstream runs."""


@runtime_checkable
class Mirrored(Protocol):
    """What a source kind offers besides when a copy in clear can be kept here and brought up to date between pulls.

    The caller holds the source's lock. Any of it may be killed at any moment without harm to the copy.
    """

    @property
    def clear_mirror(self) -> bool:
        """Whether the copy is wanted."""

    def follow(self, host: Remote, bench: Bench, *, recheck: bool = False) -> Followed:
        """Bring the copy up to what upstream holds; `recheck`: look at all of it even if nothing changed."""

    def bundled(self, bench: Bench, findings: Findings) -> Iterator[Artifact]:
        """The artifacts of a pull, made from the copy as it is."""

    def expire(self, bench: Bench, before: datetime, *, dry_run: bool = False) -> tuple[str, ...]:
        """Let go what upstream gave up before `before` (UTC); its names. With `dry_run` only those."""

    def taken_from(self, directory: Path) -> str:
        """What to type to have a working copy from the one in `directory`, should everything else be lost."""


def mirrored(source: object) -> Mirrored | None:
    """The source, if a mirror of it is kept here in clear."""
    return source if isinstance(source, Mirrored) and source.clear_mirror else None


class Nowhere:
    """Stands for the host where a source sends no command: nobody logs in there."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __enter__(self) -> "Nowhere":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise HostError(f"{self.name}: this source sends no commands there")

    open = read = send = converse = to = _refuse


@dataclass(frozen=True)
class Throwaway:
    """What a drill restores onto: how the source is reached there, and the version of its server.

    `version` None: there is no server, or its version does not matter.
    """

    source: "Source"
    version: str | None


@runtime_checkable
class Listing(Protocol):
    """A source kind whose snapshots hold files that can be listed one by one."""

    @classmethod
    def members(cls, snapshot: Opened) -> Iterator[Member]:
        """What a snapshot holds, in its order. ContentError."""


class Source(Protocol):
    """A source kind: a frozen dataclass whose fields are its keys in hosts.toml, each with a description.

    docs/sources.md is made of these, and of the docstrings that a kind gives itself and its methods.
    """

    kind: ClassVar[str]
    artifact_names: ClassVar[tuple[str, ...]]
    restore_takes: ClassVar[frozenset[str]]
    """Which of `tables`, `schema_only`, `config_files` and `paths` of RestoreOptions mean something to it."""

    def commands(self) -> tuple[str, ...]:
        """Every remote command that a pull can ever send: constants, so that a gate can allow exactly these."""

    def streams(self) -> tuple[str, ...]:
        """Those of `commands()` that are opened, and whose output is an artifact as it comes, for as long as it is.

        They may be slowed down, run at low priority, and be compressed on the way: none of that shows here.
        """

    def artifacts(self, host: Remote, findings: Findings) -> Iterator[Artifact]:
        """Pull: each artifact must be consumed before the next is asked for. What is learnt goes into `findings`."""

    def diagnose(self, host: Remote, last_bytes: int | None) -> Iterator[Diagnosis]:
        """What a pull depends on there, asked with commands of `commands()` alone; an error is a diagnosis, not raised.

        `last_bytes`: plain size of the last snapshot, None where there is none.
        """

    def restoration(self, host: Remote, snapshot: Opened, options: RestoreOptions) -> Restoration:
        """A restore of a snapshot onto a target; UsageError when `options` do not fit this kind or snapshot."""

    def throwaway(self, machine: Machine, origin: Server) -> Throwaway:
        """Start an empty server of the kind of `origin` on `machine`, closed to the network; or, for a kind that has
        none, see that what it takes to restore is there. SourceError, HostError.
        """

    @classmethod
    def checks(cls, snapshot: Opened) -> Mapping[str, Check]:
        """What artifacts of a stored snapshot must pass when they are read again, by name; others have only hashes."""

    def grants(self, user: str) -> str:
        """SQL that makes the database account of the OS account `user` with the least rights; empty where none is."""

    def as_root(self) -> tuple[tuple[str, ...], ...]:
        """The command lines that a pull runs by `sudo -n`, in words of letters, digits and `/._-+@*?`, each to be
        taken as it stands; mostly none.
        """

    def recovery(self, files: Mapping[str, str]) -> str:
        """How to restore with age, zstd and the stock client alone; `files` maps artifacts to stored files."""
