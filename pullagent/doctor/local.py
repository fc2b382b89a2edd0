"""What `doctor` looks at on this machine: files, programs, recipients, stray identities, space, clock, locks, timer."""

import os
import pwd
import shutil
import stat
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from pullagent import clock, identities, seal
from pullagent import config as configs
from pullagent.config import Config
from pullagent.diagnosis import Diagnosis, bad, doubtful, good, judged, of_error, size
from pullagent.errors import PullAgentError
from pullagent.ledger import Ledger
from pullagent.model import Snapshot, SourceName, rfc3339
from pullagent.programs import ask
from pullagent.sources.base import mirrored
from pullagent.store import Store, used

TIMER, MIRROR_TIMER = "pullagent.timer", "pullagent-mirror.timer"
_ENTRIES = 100_000
_ENOUGH, _COMFORTABLE = 1.1, 2.0
_SEARCH_S = 10
_CLOCK_SLACK = timedelta(seconds=5)
_GROUP_OR_OTHERS, _WRITABLE = 0o077, 0o022
_ELSEWHERE = "keep it on another machine, and remove it from this one: shred -u"


def of_this_machine(config: Config, snapshots: Sequence[Snapshot], now: datetime) -> Iterator[Diagnosis]:
    """Everything that needs no host. `snapshots` are all that the store holds; `now` is the time (UTC)."""
    recipients = _recipients(config)
    yield judged("configuration", lambda: _configuration(config))
    yield _files(config)
    yield _store(config.store)
    yield from programs()
    yield judged("recipients", lambda: _taken(recipients), "write public keys as age-keygen -y or ssh-keygen -y shows")
    yield _identities(config, recipients)
    yield _space(config, snapshots)
    yield _clock(config, snapshots, now)
    yield _lock(config)
    yield _prerequisites(config, snapshots)
    yield from _timer()
    if any(mirrored(source) for host in config.hosts.values() for source in host.sources.values()):
        yield from _timer(MIRROR_TIMER)


def programs() -> Iterator[Diagnosis]:
    """The programs that every stored file is written and opened with."""
    yield judged("age", seal.age_version)
    version = ask("zstd", "--version")
    if version is None:
        yield doubtful(
            "zstd", "the zstd program is not installed here", "apt-get install zstd: restores by hand use it"
        )
    else:
        yield good("zstd", version.strip("* ").partition(",")[0])


def _configuration(config: Config) -> str:
    configs.check_files(config)
    return f"{config.path}, sources: {len(config.source_names())}"


def _recipients(config: Config) -> tuple[str, ...]:
    try:
        return config.recipients()
    except PullAgentError:
        # told by the configuration's check
        return config.encryption.recipients


def _taken(recipients: Sequence[str]) -> str:
    seal.check_recipients(recipients)
    return f"age takes all {len(recipients)}" if len(recipients) > 1 else "age takes the one there is"


def _files(config: Config) -> Diagnosis:
    """Keys that others could read, and files by which others could change what is trusted."""
    keys = dict.fromkeys([config.identity_file, *(host.identity_file for host in config.hosts.values())])
    others = [config.path, config.known_hosts]
    if config.encryption.recipients_file is not None:
        others.append(config.path.parent / config.encryption.recipients_file)
    owners = {0, os.geteuid(), _owner(config.store)}
    problems = [_problem(file, _GROUP_OR_OTHERS, owners) for file in keys if file in _in_use(config)]
    problems += [_problem(file, _WRITABLE, owners) for file in others]
    found = [problem for problem in problems if problem is not None]
    if found:
        return bad("files", "; ".join(text for text, _ in found), "\n".join(hint for _, hint in found))
    return good("files", "nobody else reads keys or changes what is trusted")


def _in_use(config: Config) -> set[Path]:
    return {host.identity_file for host in config.hosts.values()}


def _owner(path: Path) -> int | None:
    try:
        return path.stat().st_uid
    except OSError:
        return None


def _problem(path: Path, forbidden: int, owners: set[int | None]) -> tuple[str, str] | None:
    """What is wrong with the mode or owner of a file or its directory, and what mends it; None for a missing file."""
    try:
        found, directory = path.stat(), path.resolve().parent.stat()
    except OSError:
        return None
    mode = stat.S_IMODE(found.st_mode)
    if mode & forbidden:
        wanted = "600" if forbidden == _GROUP_OR_OTHERS else "go-w"
        return f"{path} has mode {mode:04o}", f"chmod {wanted} {path}"
    if found.st_uid not in owners:
        return f"{path} belongs to {_user(found.st_uid)}", f"chown {_user(os.geteuid())} {path}"
    if directory.st_mode & stat.S_IWOTH and not directory.st_mode & stat.S_ISVTX:
        return f"{path.resolve().parent} can be written to by anybody", f"chmod o-w {path.resolve().parent}"
    return None


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _store(root: Path) -> Diagnosis:
    """The store is private to the account that pulls, and so is everything in it."""
    try:
        used.expect(root)
    except PullAgentError as error:
        return of_error("store", error)
    if not root.exists():
        return _store_to_be(root)
    try:
        found = root.stat()
        mode, owner = stat.S_IMODE(found.st_mode), found.st_uid
        if not stat.S_ISDIR(found.st_mode):
            return bad("store", f"{root} is not a directory", f"what is it?  ls -ld {root}")
        if os.geteuid() not in (0, owner):
            user = _user(owner)
            hint = f"run it as that user: sudo -u {user} pullagent …"
            return bad("store", f"{root} belongs to {user}, not to {_user(os.geteuid())}", hint)
        if mode & _GROUP_OR_OTHERS:
            return bad("store", f"{root} has mode {mode:04o}", f"chmod 700 {root}")
        entries = [path for _, path in zip(range(_ENTRIES), _below(root), strict=False)]
        open_to_others = [p for p in entries if not p.is_symlink() and p.lstat().st_mode & _GROUP_OR_OTHERS]
        foreign = [p for p in entries if p.lstat().st_uid != owner]
    except FileNotFoundError:
        return good("store", f"{root} changes at this moment: a run is under way")
    except OSError as error:
        return bad("store", f"{error.filename}: {error.strerror}", f"ls -ld {root}")
    if open_to_others:
        detail = f"{len(open_to_others)} entries are open to others, such as {open_to_others[0]}"
        return bad("store", detail, f"chmod -R go-rwx {root}")
    if foreign:
        detail = f"{len(foreign)} entries do not belong to {_user(owner)}, such as {foreign[0]}"
        return bad("store", detail, f"chown -R {_user(owner)} {root}")
    if not used.noted(root):
        detail = f"{root} is private to {_user(owner)}; were its disk not mounted one night, nobody would notice"
        return doubtful(
            "store", detail, f"has {_user(owner)} a state directory, such as /var/lib/pullagent? Then: pullagent run"
        )
    return good("store", f"{root} is private to {_user(owner)}")


def _store_to_be(root: Path) -> Diagnosis:
    nearest = next(parent for parent in root.absolute().parents if parent.exists())
    if nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK):
        return good("store", f"{root} is not there yet; the first run makes it")
    me = _user(os.geteuid())
    return bad(
        "store", f"{root} is not there, and {me} cannot make it in {nearest}", f"install -d -o {me} -m 700 {root}"
    )


def _below(root: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(root):
        for name in (*folders, *files):
            yield Path(folder, name)


def _identities(config: Config, recipients: Sequence[str]) -> Diagnosis:
    """No identity that opens the store lies where a thief of this machine would look first."""
    keys = {file.parent for file in config.pull_keys()}
    more = (config.path.absolute().parent, config.store, *sorted(keys))
    # a home that lies on another machine may not answer
    found = _within(_SEARCH_S, lambda: identities.search(identities.usual_places(*more), recipients))
    if found is None:
        hint = "does a home lie on a file server that is down?  df"
        return doubtful("identities", f"the search was not done within {_SEARCH_S} s", hint)
    if found.opening:
        files = " ".join(map(str, found.opening))
        return bad("identities", f"what opens the store lies on this machine: {files}", f"{_ELSEWHERE} {files}")
    if found.unclear:
        files = " ".join(map(str, found.unclear))
        hint = f"does it open the store? Then {_ELSEWHERE} {files}"
        return doubtful("identities", f"there are identities that could not be compared: {files}", hint)
    closed = f"; {len(found.closed)} could not be looked into (root can)" if found.closed else ""
    return good("identities", f"none that opens the store in {found.places} usual places{closed}")


def _within(seconds: float, search: Callable[[], identities.Search]) -> identities.Search | None:
    """What `search` finds; None if it takes longer."""
    found: list[identities.Search] = []
    searching = threading.Thread(target=lambda: found.append(search()), daemon=True)
    searching.start()
    searching.join(seconds)
    return found[0] if found else None


def _newest(config: Config, snapshots: Sequence[Snapshot]) -> dict[SourceName, Snapshot | None]:
    """Each source's newest snapshot that is not damaged; `snapshots` stand newest first."""
    return {
        name: next((s for s in snapshots if s.ref.name == name and s.state != "damaged"), None)
        for name in config.source_names()
    }


def _space(config: Config, snapshots: Sequence[Snapshot]) -> Diagnosis:
    """Whether the next run fits, if it is about as large as the last."""
    root = config.store
    place = next(p for p in (root.absolute(), *root.absolute().parents) if p.exists())
    try:
        free = shutil.disk_usage(place).free
    except OSError as error:
        return bad("free space", f"{place}: {error.strerror}", f"df -h {place}")
    sizes = {name: s.stored_bytes for name, s in _newest(config, snapshots).items() if s is not None}
    needed = sum(filter(None, sizes.values()))
    if not sizes:
        return good("free space", f"{size(free)} free; how much a run takes is not known yet")
    detail = f"{size(free)} free; the last run took {size(needed)}"
    if free < needed * _ENOUGH:
        return bad("free space", detail, f"free space there: df -h {place}; pullagent list shows what takes it")
    if free < needed * _COMFORTABLE:
        return doubtful("free space", detail, f"soon there will be too little: df -h {place}")
    return good("free space", detail)


def _clock(config: Config, snapshots: Sequence[Snapshot], now: datetime) -> Diagnosis:
    """Not before what was stored or written down already. An id may be a second ahead of its run."""
    latest, what = max((s.taken for s in snapshots), default=now), "the newest snapshot"
    try:
        record = Ledger(Store(config.store).ledger_path).record()
    except PullAgentError as error:
        return of_error("clock", error)
    if record.last is not None and record.last > latest:
        latest, what = record.last, "the last line of the ledger"
    if now + _CLOCK_SLACK < latest:
        detail = f"it is {rfc3339(now)} here, but {what} is of {rfc3339(latest)}"
        return bad("clock", detail, "which is wrong? Set the clock (timedatectl) before anything runs")
    doubted = clock.refusal(record, (s.taken for s in snapshots), now)
    if doubted is not None:
        return doubtful("clock", doubted.reason, doubted.hint)
    if ask("timedatectl", "show", "-p", "NTPSynchronized", "--value") == "no":
        return doubtful("clock", f"{rfc3339(now)}, but not synchronised", "timedatectl set-ntp true, or install chrony")
    return good("clock", f"{rfc3339(now)}, later than what is stored")


def _lock(config: Config) -> Diagnosis:
    store = Store(config.store)
    try:
        held = {name: pid for name in config.source_names() if (pid := store.holder(name)) is not None}
    except PullAgentError as error:
        return of_error("lock", error, f"ls -ld {config.store}")
    if not held:
        return good("lock", "no run is under way")
    names = ", ".join(f"{name} by process {pid}" for name, pid in held.items())
    pids = ",".join(map(str, sorted(set(held.values()))))
    return doubtful("lock", f"held: {names}", f"a run is under way; since when, and does it move?  ps -fp {pids}")


def _prerequisites(config: Config, snapshots: Sequence[Snapshot]) -> Diagnosis:
    """There is something to restore from, and its runbook beside it. The identity is elsewhere, by design."""
    newest = _newest(config, snapshots)
    none = [str(name) for name, snapshot in newest.items() if snapshot is None]
    silent = [s for s in newest.values() if s is not None and not (s.path / "RESTORE.txt").is_file()]
    if silent:
        hint = f"pull anew: pullagent run {' '.join(str(s.ref.name) for s in silent)}"
        return bad("restore", f"RESTORE.txt is missing in {', '.join(str(s.path) for s in silent)}", hint)
    if none:
        return doubtful("restore", f"no sound snapshot yet of {', '.join(none)}", f"pullagent run {' '.join(none)}")
    return good("restore", "a sound snapshot and runbook of every source")


def _timer(unit: str = TIMER) -> Iterator[Diagnosis]:
    """Nothing where no systemd runs."""
    if not Path("/run/systemd/system").is_dir():
        return
    name = "timer" if unit == TIMER else "mirrors' timer"
    if ask("systemctl", "is-enabled", unit) is None:
        yield doubtful(name, f"{unit} is not enabled: nothing runs by itself", f"systemctl enable --now {unit}")
    elif ask("systemctl", "is-active", unit) is None:
        yield doubtful(name, f"{unit} is enabled, but not active", f"systemctl start {unit}")
    else:
        yield good(name, f"{unit} is active")
