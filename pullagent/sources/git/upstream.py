"""The repository that a mirror follows: what it shows now, and its objects, over SSH or as git itself goes there."""

from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from pullagent.sources.base import Remote
from pullagent.sources.git import refs
from pullagent.sources.git.line import PROTOCOL, Line, joined
from pullagent.sources.git.program import LONG_S, SHORT_S, Program
from pullagent.sources.git.url import Place, upload_pack

_FETCH = (
    "fetch",
    "--quiet",
    "--no-tags",
    "--no-write-fetch-head",
    "--no-auto-maintenance",
    "--no-recurse-submodules",
    "--no-show-forced-updates",
    "--stdin",
    "--",
)
_MANY = 500
_LIST_BYTES = 64 << 20
_ALLOWED = {"http": "http:https"}


class Upstream:
    """The repository at `place`. `version`: of the git there, once it has spoken; None where it does not say.

    `advanced` hears how many bytes came over SSH; what git fetches by itself it tells nobody of.
    """

    def __init__(self, place: Place, advanced: Callable[[int], None] = lambda count: None) -> None:
        self._place, self._advanced = place, advanced
        self.version: str | None = None

    def heads(self, git: Program, host: Remote) -> refs.Heads:
        """What it shows: one round trip."""
        return refs.heads_of(self._call(git, host, ("ls-remote", "--symref", "--"), b"", SHORT_S))

    def fetch(self, git: Program, host: Remote, names: Collection[str]) -> None:
        """Fetch refs and all that they lead to, each under its name below `refs.INCOMING`; of many, all others too."""
        wanted = "".join(f"+{name}:{refs.INCOMING}{name}\n" for name in names)
        if len(names) > _MANY:
            # git looks through all refs for each that it is told by name
            wanted = f"+refs/*:{refs.INCOMING}refs/*\n^{refs.OWN}*\n"
        self._call(git, host, _FETCH, wanted.encode(errors="surrogateescape"), LONG_S)

    def _call(self, git: Program, host: Remote, arguments: tuple[str, ...], data: bytes, limit_s: float) -> bytes:
        place = self._place
        if place.path is None:
            protocol = _ALLOWED.get(place.scheme, place.scheme)
            return git.ask(*arguments, place.url, data=data, protocol=protocol, limit_s=limit_s)
        server: AbstractContextManager[Remote] = host.to(place.address) if place.address else nullcontext(host)
        with server as remote, self._spoken_to(remote, upload_pack(place.path)) as descriptor:
            return git.ask(
                *arguments,
                f"fd::{descriptor}",
                data=data,
                protocol=PROTOCOL,
                descriptors=(descriptor,),
                limit_s=limit_s,
            )

    @contextmanager
    def _spoken_to(self, remote: Remote, command: str) -> Iterator[int]:
        line: Line | None = None
        try:
            with joined(remote, command, _LIST_BYTES, self._advanced) as (descriptor, line):
                yield descriptor
        finally:
            self.version = (line.version if line is not None else None) or self.version
