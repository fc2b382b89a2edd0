"""Use case: look at everything that a run and a restore depend on, here and on the hosts, in bounded time."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from datetime import datetime

from pullagent import config as configs
from pullagent.config import Config
from pullagent.diagnosis import Diagnosis, bad, doubtful, good, of_error
from pullagent.doctor.local import of_this_machine, programs
from pullagent.errors import (
    CommandFailed,
    ConfigError,
    ConnectionLost,
    HostError,
    HostKeyError,
    PullAgentError,
    Stopped,
)
from pullagent.gate import DIGEST_COMMAND, digest_of, explained, renewal
from pullagent.host import Host, Limits
from pullagent.host.keys import pinned_keys
from pullagent.logins import pull_login
from pullagent.model import Address, Snapshot, SourceName, StopSignal
from pullagent.sources.base import Nowhere, Remote, Source, Stream
from pullagent.store import Store
from pullagent.wire.commands import commands_of
from pullagent.wire.remote import compressor

Connect = Callable[[configs.Host, StopSignal], AbstractContextManager[Remote]]

CONNECT_S, COMMAND_S, HOST_S = 10.0, 25.0, 60.0
# a connection hears of a stop within a second
_LEAVE_S = 2.0
# harmless where it runs; no gate lets it
FORBIDDEN = "echo 'pullagent doctor: this should have been refused'"
_HEX = frozenset("0123456789abcdef")


def doctor(
    config: Config,
    hosts: Sequence[str],
    *,
    now: datetime,
    connect: Connect | None = None,
    host_s: float = HOST_S,
) -> Iterator[Diagnosis]:
    """This machine first, then `hosts` in order, looked at side by side, each for at most `host_s` seconds."""
    stop = StopSignal()
    try:
        snapshots = Store(config.store).snapshots()
    except PullAgentError:
        # told by the store's own check
        snapshots = []
    opener = connect or (lambda host, stop: _open(config, host, stop))
    examinations = [_Examination(config, config.hosts[name], snapshots, opener, stop) for name in hosts]
    deadline = time.monotonic() + host_s
    try:
        for examination in examinations:
            examination.start()
        yield from of_this_machine(config, snapshots, now)
        for examination in examinations:
            yield from examination.results(deadline, host_s)
    finally:
        stop.set()
        _let_leave(examinations)


def _let_leave(examinations: Sequence["_Examination"]) -> None:
    """Wait a little for those that still look: a thread that Python's end finds in a library aborts the process."""
    deadline = time.monotonic() + _LEAVE_S
    for examination in examinations:
        # one may have been stopped before it was started
        if examination.ident is not None:
            examination.join(max(0.0, deadline - time.monotonic()))


def without_configuration(error: ConfigError) -> Iterator[Diagnosis]:
    """What there is to look at where hosts.toml cannot be used."""
    yield of_error("configuration", error)
    yield from programs()


def _open(config: Config, host: configs.Host, stop: StopSignal) -> Host:
    connect_s = min(config.ssh.connect_timeout_s, CONNECT_S)
    return Host(pull_login(config, host), Limits(connect_s, COMMAND_S, COMMAND_S), stop)


class _Examination(threading.Thread):
    """One host, looked at in a thread of its own."""

    def __init__(
        self, config: Config, host: configs.Host, snapshots: Sequence[Snapshot], connect: Connect, stop: StopSignal
    ) -> None:
        super().__init__(daemon=True, name=f"doctor {host.name}")
        self._config, self._host, self._snapshots = config, host, snapshots
        self._connect, self._stop_signal = connect, stop
        self._found: list[Diagnosis] = []

    def run(self) -> None:
        """Look at everything; what was found until a stop remains."""
        try:
            for found in self._look():
                self._found.append(self._placed(found))
        except Stopped:
            return
        except Exception as error:
            text = f"internal error: {error!r}"
            self._found.append(replace(bad("doctor", text, "this is a defect: report it"), host=self._host.name))

    def _placed(self, found: Diagnosis) -> Diagnosis:
        """With its host, which is not named twice, and with at least where to look."""
        host = self._host
        detail, hint = found.detail.removeprefix(f"{host.name}: "), found.hint
        if found.result != "ok" and not hint:
            hint = f"look into it there:  ssh -p {host.port} {host.address}"
        return replace(found, host=host.name, detail=detail, hint=hint)

    def results(self, deadline: float, host_s: float) -> list[Diagnosis]:
        """What was found by the deadline (of the monotonic clock), and whether that was all."""
        self.join(max(0.0, deadline - time.monotonic()))
        found = list(self._found)
        if self.is_alive():
            late = bad("time", f"not all was looked at within {host_s:.0f} s", f"is {self._host.name} overloaded?")
            found.append(replace(late, host=self._host.name))
        return found

    def _look(self) -> Iterator[Diagnosis]:
        if self._host.sources and not any(source.commands() for source in self._host.sources.values()):
            # nobody logs in there, ever
            yield from self._look_at_sources(Nowhere(self._host.name))
            return
        with ExitStack() as stack:
            try:
                pinned = pinned_keys(pull_login(self._config, self._host))
                if not pinned:
                    hint = f"pullagent trust {self._host.name}"
                    yield bad("host key", f"none is pinned in {self._config.known_hosts}", hint)
                    return
                remote = stack.enter_context(self._connect(self._host, self._stop_signal))
            except HostKeyError as error:
                yield of_error("host key", error)
                return
            except (HostError, ConfigError) as error:
                yield of_error("SSH login", error)
                return
            yield good("host key", f"{', '.join(key.kind for key in pinned)}, as pinned")
            yield good("SSH login", f"as {self._host.user} to {self._host.address} port {self._host.port}")
            yield from self._look_inside(remote)

    def _look_inside(self, remote: Remote) -> Iterator[Diagnosis]:
        sources: dict[str, Source] = dict(self._host.sources)
        manner = self._host.manner
        yield _gate(remote, digest_of(commands_of(sources.values(), manner)))
        asked = _Asked(remote)
        if manner.wire != "plain" and any(source.streams() for source in sources.values()):
            yield compressor(asked, manner)
        yield from self._look_at_sources(asked)

    def _look_at_sources(self, remote: Remote) -> Iterator[Diagnosis]:
        sources: dict[str, Source] = dict(self._host.sources)
        for name, source in sources.items():
            for found in source.diagnose(remote, self._last_bytes(SourceName(self._host.name, name))):
                yield replace(found, name=f"{name}: {found.name}")

    def _last_bytes(self, name: SourceName) -> int | None:
        return next((s.plain_bytes for s in self._snapshots if s.ref.name == name and s.state != "damaged"), None)


class _Asked:
    """A host whose gate's refusals and slow answers are told as what they are, not as the source's trouble."""

    def __init__(self, remote: Remote) -> None:
        self._remote, self.name = remote, remote.name

    def open(self, command: str, good: tuple[int, ...] = (0,)) -> Stream:
        """As the host does."""
        return self._remote.open(command, good)

    def send(self, command: str, chunks: Iterator[bytes], stop: StopSignal | None = None) -> bytes:
        """As the host does."""
        return self._remote.send(command, chunks, stop)

    def converse(self, command: str, chunks: Iterator[bytes], stop: StopSignal | None = None) -> Stream:
        """As the host does."""
        return self._remote.converse(command, chunks, stop)

    def to(self, address: Address) -> AbstractContextManager[Remote]:
        """As the host does."""
        return self._remote.to(address)

    def read(self, command: str, limit: int = 16 << 20) -> bytes:
        """As the host does; HostError for what its gate refuses or what takes too long."""
        try:
            return self._remote.read(command, limit)
        except CommandFailed as error:
            told = explained(error, self.name)
            if told is error:
                raise
            raise told from error
        except ConnectionLost as error:
            hint = f"doctor waits {COMMAND_S:.0f} s for an answer: is the host overloaded?"
            raise HostError(error.message, hint) from error


def _gate(remote: Remote, digest: str) -> Diagnosis:
    """Whether the pull key may run its own commands alone, and whether those are today's."""
    try:
        remote.read(FORBIDDEN, limit=1 << 16)
    except CommandFailed as error:
        if explained(error, remote.name) is error:
            return of_error("gate", error)
    except HostError as error:
        return of_error("gate", error)
    else:
        hint = f"pullagent gate {remote.name} -o DIR renders one; DIR/README says what goes where"
        return doubtful("gate", "there is none: the pull key can run any command there", hint)
    try:
        answer = remote.read(DIGEST_COMMAND, limit=1 << 16).decode(errors="replace").strip()
    except HostError as error:
        return of_error("gate", error)
    if len(answer) != len(digest) or not set(answer) <= _HEX:
        hint = "does a login script (.bashrc, .profile) print something for every SSH login? It must be silent"
        return bad("gate", f"asked for its digest it answers {answer[:80]!r}", hint)
    if answer != digest:
        return bad("gate", "it is older than hosts.toml or this version", renewal(remote.name))
    return good("gate", f"in place and up to date ({digest[:16]}…)")
