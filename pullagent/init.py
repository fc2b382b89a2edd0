"""Use case: set up a backup server, or set it up again from the copies in its store. Overwrites nothing."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pullagent import config as configs
from pullagent import keys, seal
from pullagent.config import Config
from pullagent.errors import SealError, UsageError
from pullagent.programs import ask
from pullagent.store import Store
from pullagent.store.durable import add_durably, make_durable_directory, storing
from pullagent.template import with_store


@dataclass(frozen=True)
class NewIdentity:
    """A key pair by age-keygen that lies in memory alone until it is written to `path`."""

    path: Path
    recipient: str
    secret: bytes = field(repr=False)


@dataclass(frozen=True)
class Done:
    """What is set up now: files `made`, each with what it is, and files `kept` that were there before."""

    config: Config
    made: tuple[tuple[Path, str], ...]
    kept: tuple[tuple[Path, str], ...]


def refuse_existing(path: Path) -> None:
    """UsageError when there is a hosts.toml already, even one that leads nowhere."""
    if os.path.lexists(path):
        raise UsageError(f"{path} exists already; it stays as it is", "edit it, then:  pullagent config check")


def new_identity(path: Path) -> NewIdentity:
    """Make a key pair that is to lie at `path`; UsageError when something lies there."""
    if os.path.lexists(path):
        raise UsageError(f"{path} exists already", f"give its public key: --recipient $(age-keygen -y {path})")
    secret = (ask("age-keygen") or "").encode()
    recipients = keys.public_keys(secret)
    if not recipients:
        raise SealError("age-keygen made no key", "apt-get install age")
    return NewIdentity(path, recipients[0], secret + b"\n")


def set_up(path: Path, text: str, kinds: Mapping[str, type], identity: NewIdentity | None = None) -> Done:
    """Write hosts.toml at `path`, the pull key that it names, and `identity`.

    Nothing is written before the whole is known to be good: ConfigError and SealError say what is wrong with it.
    """
    refuse_existing(path)
    config = configs.parse(path, text.encode(), kinds)
    seal.check_recipients(config.recipients())
    work = _Work()
    if identity is not None:
        work.add(identity.path, identity.secret, 0o600, "the identity that opens the backups")
    work.pull_keys(config)
    work.add(path, text.encode(), 0o640, "what is backed up, and how")
    return work.done(configs.load(path, kinds))


def from_store(path: Path, store: Path, kinds: Mapping[str, type]) -> Done:
    """Set up again from the copies of hosts.toml and known_hosts that a run left in the store.

    Only [store] path is changed, where it leads elsewhere. A recipients_file that is gone is written from the newest
    snapshot; a pull key that is gone is made anew.
    """
    refuse_existing(path)
    config = _moved(path, store, kinds)
    work = _Work()
    recipients = config.encryption.recipients_file
    if recipients is not None:
        work.unless_there(path.absolute().parent / recipients, lambda: _recipients_of(config), "the public keys")
    seal.check_recipients(config.recipients())
    work.pull_keys(config)
    if (store / "known_hosts").is_file():
        work.unless_there(config.known_hosts, (store / "known_hosts").read_bytes, "the hosts' pinned keys")
    work.add(path, config.text, 0o640, "what is backed up, and how")
    return work.done(configs.load(path, kinds))


def _moved(path: Path, store: Path, kinds: Mapping[str, type]) -> Config:
    """The store's copy of hosts.toml as it is to be at `path`, with that store."""
    try:
        text = (store / "hosts.toml").read_bytes()
    except OSError as error:
        hint = "give the directory that holds ledger.jsonl and a directory for each host"
        raise UsageError(f"{store} holds no copy of hosts.toml: {error.strerror}", hint) from error
    config = configs.parse(path, text, kinds)
    if config.store.resolve() == store.resolve():
        return config
    config = configs.parse(path, with_store(text.decode(), store.resolve()).encode(), kinds)
    if config.store.resolve() != store.resolve():
        hint = f"copy {store / 'hosts.toml'} to {path} and change it there"
        raise UsageError(f"[store] path in the copy leads to {config.store}", hint)
    return config


def _recipients_of(config: Config) -> bytes:
    """A recipients_file as the newest snapshot that can be read was sealed for."""
    found = [s for s in Store(config.store).snapshots() if s.manifest is not None]
    if not found:
        file = config.encryption.recipients_file
        raise UsageError(f"{file} is gone, and no snapshot tells the public keys", "write it, one public key a line")
    newest = max(found, key=lambda s: s.ref.id)
    assert newest.manifest is not None
    return "".join(f"{key}\n" for key in newest.manifest.recipients).encode()


class _Work:
    """Adds files, and remembers which."""

    def __init__(self) -> None:
        self._made: list[tuple[Path, str]] = []
        self._kept: list[tuple[Path, str]] = []

    def add(self, path: Path, data: bytes, mode: int, what: str) -> None:
        """A new file, in a directory that is made if need be."""
        with storing(path):
            _make_directory(path.parent)
            try:
                add_durably(path, data, mode)
            except FileExistsError as error:
                raise UsageError(f"{path} exists already; it stays as it is", "move it away, or keep it") from error
        self._made.append((path, what))

    def unless_there(self, path: Path, content: Callable[[], bytes], what: str) -> None:
        """A new file that others may read, where there is none yet."""
        if os.path.lexists(path):
            self._kept.append((path, what))
            return
        self.add(path, content(), 0o644, what)

    def pull_keys(self, config: Config) -> None:
        """Each pull key that hosts.toml names and that does not lie there yet."""
        for path in dict.fromkeys((config.identity_file, *(h.identity_file for h in config.hosts.values()))):
            if os.path.lexists(path):
                _expect_usable(path)
                self._kept.append((path, "the pull key"))
            else:
                self._make_key(path)

    def _make_key(self, path: Path) -> None:
        with storing(path):
            _make_directory(path.parent)
            temporary = path.with_name(f".{path.name}.new.{os.getpid()}")
            public = temporary.with_name(f"{temporary.name}.pub")
            try:
                if ask("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "pullagent", "-f", str(temporary)) is None:
                    raise SealError(f"ssh-keygen made no key in {path.parent}", "apt-get install openssh-client")
                self.add(path.with_name(f"{path.name}.pub"), public.read_bytes(), 0o644, "its public half")
                self.add(path, temporary.read_bytes(), 0o600, "the pull key")
            finally:
                temporary.unlink(missing_ok=True)
                public.unlink(missing_ok=True)

    def done(self, config: Config) -> Done:
        """What came of it, once the files pass `config check`, but for known_hosts."""
        configs.check_files(config, known_hosts=False)
        return Done(config, tuple(self._made), tuple(self._kept))


def _make_directory(path: Path) -> None:
    """A directory that the service's group may look into, where there is none yet."""
    if not path.is_dir():
        make_durable_directory(path)
        path.chmod(0o750)


def _expect_usable(key: Path) -> None:
    """UsageError unless a key that was there before can log in without being asked for anything."""
    with storing(key):
        data = key.read_bytes()
    if keys.is_locked(data):
        raise UsageError(f"{key} has a passphrase, which no timer can type", "move it away: a key is made without one")
    if not keys.public_keys(data):
        raise UsageError(f"{key} is no SSH private key", "move it away: a key is made in its place")
