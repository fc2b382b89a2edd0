"""A backup server for one test: its hosts.toml, keys and store, and the real command line run as a process."""

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.lab.keys import age_identity
from tests.lab.processes import plain_environment, run, wait_until
from tests.lab.production import ProductionHost
from tests.lab.typed import Answer, Typed, type_to

HOST = "pavroto-2"
AGAMA, LOGS = f"{HOST}/agama", f"{HOST}/logs"
SECONDS = 90
# What changes with every run, and the copies of the last run's configuration.
_NOT_SNAPSHOTS = (".locks", "ledger.jsonl", "hosts.toml", "known_hosts")


@dataclass(frozen=True)
class Done:
    """How one command ended."""

    argv: tuple[str, ...]
    code: int
    out: str
    err: str
    seconds: float

    def succeeded(self) -> "Done":
        """Itself; fails the test unless it ended with 0."""
        assert self.code == 0, self
        return self

    def failed(self, code: int, error: str, hint: str = "") -> "Done":
        """Itself; fails the test unless it ended with `code`, and with `error:` and `hint:` lines that say so."""
        lines = self.err.splitlines()
        assert self.code == code, self
        assert "Traceback" not in self.err, self
        assert any(error in line for line in lines if line.startswith(("error: ", "       "))), self
        assert any(line.startswith("error: ") for line in lines), self
        if hint:
            # A run adds to each failure what was stored last, which helps nobody to mend it.
            hints = [line for line in lines if line.startswith("hint: ") and "nothing was stored" not in line]
            assert any(hint in line for line in hints), self
        return self

    @property
    def json(self) -> dict[str, Any]:
        """The one object on standard output."""
        found = json.loads(self.out)
        assert isinstance(found, dict)
        assert found["format"] == 1
        return found


class Agent:
    """A backup server below `directory` that pulls `host`, whose present key it has pinned."""

    def __init__(self, directory: Path, host: ProductionHost) -> None:
        self.directory, self.host = directory, host
        self.python = sys.executable
        self.home = directory / "home"
        self.home.mkdir(parents=True, mode=0o700)
        self.store = directory / "store"
        self.identity = directory / "identity.txt"
        self.recipient = age_identity(self.identity)
        self.known_hosts = directory / "known_hosts"
        self.config_file = directory / "hosts.toml"
        self.reset()

    def reset(self) -> None:
        """The first configuration again, and the host's present key pinned."""
        self.host.trust(self.known_hosts)
        self.configure(self.host.hosts_toml(self.store, self.recipient, self.host.identity, self.known_hosts))

    def configure(self, text: str) -> None:
        """Write hosts.toml."""
        self.config_file.write_text(text)

    def edit(self, old: str, new: str) -> None:
        """Replace a part of hosts.toml that must be there."""
        text = self.config_file.read_text()
        assert old in text
        self.configure(text.replace(old, new))

    def environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """Nothing of the developer's: an own HOME, no agent; `extra` is added."""
        return plain_environment(self.home, {"XDG_STATE_HOME": str(self.home / "state"), **(extra or {})})

    def call(
        self,
        *arguments: str | Path,
        stdin: bytes | None = None,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        seconds: float = SECONDS,
    ) -> Done:
        """Run `pullagent --config … ARGUMENTS` to its end."""
        argv = self.argv(*arguments)
        begun = time.monotonic()
        done = subprocess.run(
            argv,
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            env=self.environment(env),
            cwd=cwd or self.home,
            timeout=seconds,
            check=False,
        )
        took = time.monotonic() - begun
        return Done(tuple(argv[3:]), done.returncode, done.stdout.decode(), done.stderr.decode(), took)

    def type(
        self,
        *arguments: str | Path,
        answers: Sequence[tuple[str, Answer]],
        env: Mapping[str, str] | None = None,
        **more: Any,
    ) -> Typed:
        """Run it on a terminal of its own, and type each answer after its prompt: see `type_to`."""
        return type_to(self.argv(*arguments), answers, env=self.environment(env), cwd=self.home, **more)

    def without_terminal(self, *arguments: str | Path) -> Done:
        """Run it where there is no terminal to open either, as under a timer."""
        return self._finish(self.argv(*arguments), self.start(*arguments, new_session=True))

    def _finish(self, argv: list[str], process: "subprocess.Popen[bytes]") -> Done:
        begun = time.monotonic()
        out, err = process.communicate(timeout=SECONDS)
        return Done(tuple(argv[3:]), process.returncode, out.decode(), err.decode(), time.monotonic() - begun)

    def start(self, *arguments: str | Path, new_session: bool = False) -> "subprocess.Popen[bytes]":
        """Start `pullagent --config … ARGUMENTS`; the caller waits for it, and it ends with the test at the latest."""
        return subprocess.Popen(
            self.argv(*arguments),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self.environment(),
            cwd=self.home,
            start_new_session=new_session,
        )

    def argv(self, *arguments: str | Path) -> list[str]:
        """The command line of `pullagent`."""
        return [self.python, "-m", "pullagent", "--config", str(self.config_file), *map(str, arguments)]

    def restore(self, ref: str, *options: str | Path, identity: Path | None = None, stdin: bytes | None = None) -> Done:
        """`restore REF` onto the host it came from, with the lab's SSH key and no question."""
        opening = ("--identity", identity or self.identity)
        return self.call("restore", ref, *self.login, *opening, "--yes", *options, stdin=stdin)

    def restore_asked(self, ref: str, *options: str | Path, answer: Answer) -> Typed:
        """The same on a terminal, with this answer to the question."""
        asked = [("type yes to go on:", answer)]
        return self.type("restore", ref, *self.login, "--identity", self.identity, *options, answers=asked)

    @property
    def login(self) -> tuple[str | Path, ...]:
        """The options that lead a restore to the host, with the lab's SSH key."""
        return ("--to", f"{self.host.sshd.user}@{HOST}", "--ssh-key", self.host.identity)

    def latest(self, name: str) -> str:
        """The reference of the newest snapshot of `HOST/SOURCE`, by the directories themselves."""
        return max(ref for ref in self.refs() if ref.startswith(f"{name}@"))

    def refs(self) -> list[str]:
        """Every published snapshot, by the directories themselves."""
        return sorted(
            f"{path.parent.parent.name}/{path.parent.name}@{path.name}"
            for path in self.store.glob("*/*/*")
            if not path.relative_to(self.store).parts[0].startswith(".")
        )

    def path(self, ref: str) -> Path:
        """Where a snapshot lies."""
        name, _, identifier = ref.partition("@")
        return self.store / name / identifier

    def tree(self) -> dict[str, str]:
        """Mode, and hash of the content, of everything in the store but locks, ledger and copied configuration."""
        found = {}
        for path in sorted(self.store.rglob("*")):
            place = path.relative_to(self.store)
            own_directory = path.is_dir() and place.parts[0] in (".staging", ".trash")
            if place.parts[0] not in _NOT_SNAPSHOTS and not own_directory:
                content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "directory"
                found[str(place)] = f"{path.stat().st_mode:o} {content}"
        return found

    def left_behind(self, source: str) -> list[Path]:
        """Whatever lies in staging or trash for `HOST/SOURCE`."""
        places = [self.store / name / source for name in (".staging", ".trash")]
        return [path for place in places if place.exists() for path in (place, *place.rglob("*"))]

    def ledger(self) -> list[dict[str, Any]]:
        """All lines of the ledger."""
        return [json.loads(line) for line in (self.store / "ledger.jsonl").read_text().splitlines()]

    def fails(
        self, source: str, *, code: int = 1, error: str, hint: str = "", call: Callable[[], Done] | None = None
    ) -> Done:
        """A run of `source` fails as told, and leaves every byte of the store as it was.

        `call` runs it in another way than `run SOURCE`.
        """
        before = self.tree()
        done = call() if call else self.call("run", source)
        done.failed(code, error, hint)
        assert changes(before, self.tree()) == {}
        return done

    def succeeds_after(self, repair: Callable[[], object], source: str) -> None:
        """After `repair` a run of `source` adds one snapshot, changes no other, and leaves nothing behind."""
        before, refs = self.tree(), self.refs()
        repair()
        self.call("run", source).succeeded()
        changed = changes(before, self.tree())
        new = [ref.replace("@", "/") for ref in self.refs() if ref not in refs]
        assert [path for path in changed if not path.startswith((".staging", *new))] == []
        assert len(self.refs()) == len(refs) + 1
        assert self.left_behind(source) == []


def changes(before: Mapping[str, str], after: Mapping[str, str]) -> dict[str, tuple[str | None, str | None]]:
    """What differs between two trees: path to what it was and is, None where it is not there."""
    paths = before.keys() | after.keys()
    return {p: (before.get(p), after.get(p)) for p in sorted(paths) if before.get(p) != after.get(p)}


def open_sealed(file: Path, identity: Path) -> bytes:
    """What a stored file holds, by the stock programs alone."""
    sealed = run(["age", "-d", "-i", identity, file])
    return run(["zstd", "-d", "-c"], data=sealed)


def shell(script: str, cwd: Path, extra: Mapping[str, str] | None = None, seconds: float = 120) -> str:
    """Run lines as an operator types them, stopping at the first that fails; their output."""
    argv = ["bash", "-euo", "pipefail", "-c", script]
    return run(argv, env=plain_environment(cwd, extra), cwd=cwd, seconds=seconds).decode()


def wait_for_file(path: Path, seconds: float = 30) -> None:
    """Wait until a script has left its mark."""
    wait_until(path.exists, seconds, f"{path} appears")


def alive(pid: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] != b"Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def is_root() -> bool:
    """Whether the tests run as root."""
    return os.getuid() == 0
