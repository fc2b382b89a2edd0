"""What `doctor` finds wrong on this machine: each check can fail, and says what to type."""

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from pullagent import identities
from pullagent.config import Config
from pullagent.diagnosis import Diagnosis
from pullagent.doctor import local as doctor_local
from pullagent.ledger import Ledger
from pullagent.model import SourceName
from pullagent.store import Store
from tests.unit.sealing import IDENTITY_FILE, FalseAge
from tests.unit.storing import START, put
from tests.unit.toml import RIGHT, loaded

NOW = START + timedelta(hours=9)
HOST = "pavroto-2"


class Machine:
    """A backup server that is in order, in a directory of its own; a test breaks one thing and looks again."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory / "etc"
        self.directory.mkdir(mode=0o700)
        self.key, self.known_hosts = self.directory / "id_ed25519", self.directory / "known_hosts"
        self.recipients = self.directory / "recipients.txt"
        for file, text in ((self.key, "a key\n"), (self.known_hosts, ""), (self.recipients, RECIPIENTS)):
            file.write_text(text)
            file.chmod(0o600)
        self.config = self.configured(directory / "store")
        self.config.path.chmod(0o644)
        self.store = Store(self.config.store)
        for source in self.config.source_names():
            put(self.store, name=source)

    def configured(self, store: Path) -> Config:
        """The configuration with its store there."""
        ssh = {"identity_file": str(self.key), "known_hosts": str(self.known_hosts)}
        encryption = {"recipients_file": "recipients.txt"}
        return loaded(self.directory, RIGHT | {"store": {"path": str(store)}, "ssh": ssh, "encryption": encryption})

    def look(self, now: datetime = NOW) -> dict[str, Diagnosis]:
        """What is found, by name."""
        snapshots = self.store.snapshots() if self.store.root.is_dir() else []
        return {one.name: one for one in doctor_local.of_this_machine(self.config, snapshots, now)}

    def finds(self, name: str, result: str, detail: str, hint: str, now: datetime = NOW) -> None:
        """One check says this, with this hint, and every other is good."""
        found = self.look(now)
        one = found.pop(name)
        assert (one.result, detail in one.detail, hint in one.hint) == (result, True, True), one
        assert one.hint
        assert {other.name: other for other in found.values() if other.result != "ok"} == {}


RECIPIENTS = "".join(f"{recipient}\n" for recipient in RIGHT["encryption"]["recipients"])


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    """A sound machine, of whose other homes, timer and clock nothing is looked at."""
    monkeypatch.setattr(identities, "usual_places", lambda *more: list(more))
    monkeypatch.setattr(doctor_local, "_timer", lambda: iter(()))
    monkeypatch.setattr(doctor_local, "ask", lambda *argv: "yes" if argv[0] == "timedatectl" else "** Zstd v1, x **")
    before = os.umask(0o077)
    yield Machine(tmp_path)
    os.umask(before)


def test_a_sound_machine(machine: Machine) -> None:
    """Everything is good, nothing has a hint, each name stands once."""
    found = list(doctor_local.of_this_machine(machine.config, machine.store.snapshots(), NOW))
    assert [one for one in found if one.result != "ok" or one.hint] == []
    assert [one.name for one in found] == list(dict.fromkeys(one.name for one in found))
    assert len(found) >= 10


def test_a_missing_file(machine: Machine) -> None:
    """As `config check` says it."""
    machine.key.unlink()
    machine.finds("configuration", "failed", "there is no file", "ssh-keygen")


def test_a_key_that_others_can_read(machine: Machine) -> None:
    """The pull key is 0600, or else."""
    machine.key.chmod(0o640)
    machine.finds("files", "failed", "mode 0640", f"chmod 600 {machine.key}")


def test_a_store_that_is_a_file(machine: Machine) -> None:
    """What it is matters more than its mode."""
    shutil.rmtree(machine.config.store)
    machine.config.store.touch()
    one = machine.look()["store"]
    assert (one.result, one.detail) == ("failed", f"{machine.config.store} is not a directory")
    assert f"ls -ld {machine.config.store}" in one.hint


@pytest.mark.parametrize("name", ["hosts.toml", "known_hosts", "recipients.txt"])
def test_a_file_that_others_can_write(machine: Machine, name: str) -> None:
    """Who can write there chooses whom to trust, or who can read the backups."""
    (machine.directory / name).chmod(0o664)
    machine.finds("files", "failed", f"{name} has mode 0664", "chmod go-w")


def test_a_directory_that_others_can_write(machine: Machine) -> None:
    """A file there can be replaced whatever its own mode is."""
    machine.directory.chmod(0o777)
    machine.finds("files", "failed", "by anybody", f"chmod o-w {machine.directory}")


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away")
def test_a_key_of_somebody_else(machine: Machine) -> None:
    """Its owner could read and change it."""
    os.chown(machine.key, 12345, -1)
    machine.finds("files", "failed", "belongs to 12345", "chown")


def test_a_store_open_to_others(machine: Machine) -> None:
    """Its directory is 0700."""
    machine.store.root.chmod(0o750)
    machine.finds("store", "failed", "mode 0750", f"chmod 700 {machine.store.root}")


def test_a_file_in_the_store_open_to_others(machine: Machine) -> None:
    """However deep it lies."""
    file = machine.store.snapshots()[0].path / "manifest.json"
    file.chmod(0o444)
    machine.finds("store", "failed", str(file), "chmod -R go-rwx")


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away")
def test_a_file_of_another_user_in_the_store(machine: Machine) -> None:
    """A run by root in a store that is not root's leaves what its owner cannot write to."""
    os.chown(machine.store.root / ".locks", 12345, -1)
    machine.finds("store", "failed", ".locks", "chown -R")


def test_a_store_of_another_user(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only root may look at it all the same."""
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    found = machine.look()["store"]
    assert (found.result, "sudo -u" in found.hint) == ("failed", True)


def test_a_store_whose_disk_is_not_mounted(machine: Machine) -> None:
    """An empty directory in its place is a fault, whatever its mode."""
    machine.store.prepare()
    shutil.rmtree(machine.store.root)
    machine.store.root.mkdir(mode=0o700)
    found = {one.name: one for one in doctor_local.of_this_machine(machine.config, [], NOW)}
    one = found["store"]
    assert (one.result, "is its disk mounted?" in one.detail) == ("failed", True)
    assert f"mount {machine.store.root}" in one.hint


def test_a_store_whose_loss_would_not_be_noticed(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it could not be noted that it is in use."""
    monkeypatch.setattr("pullagent.store.used.noted", lambda root: False)
    machine.finds("store", "warn", "nobody would notice", "pullagent run")


def test_no_store_yet(machine: Machine) -> None:
    """The first run makes it, so that this is no fault; that there is nothing to restore is worth a warning."""
    machine.config = machine.configured(machine.directory.parent / "new")
    machine.store = Store(machine.config.store)
    machine.finds("restore", "warn", "no sound snapshot yet", f"pullagent run {HOST}/agama {HOST}/logs")
    assert "first run makes it" in machine.look()["store"].detail


def test_a_store_that_cannot_be_made(machine: Machine) -> None:
    """Nothing can be made below a file; nor is it said then that no run is under way, which nobody can know."""
    machine.config = machine.configured(machine.known_hosts / "store")
    found = machine.look()
    assert (found["store"].result, "install -d" in found["store"].hint) == ("failed", True)
    assert (found["lock"].result, bool(found["lock"].hint)) == ("failed", True)


def test_no_age(machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it there is no backup; the recipients cannot be tried either."""
    FalseAge(tmp_path / "bin", monkeypatch).remove()
    found = machine.look()
    assert {name for name, one in found.items() if one.result == "failed"} == {"age", "recipients"}
    assert "apt-get install age" in found["age"].hint


def test_no_zstd_program(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Backups go on, but a restore by hand needs it."""
    monkeypatch.setattr(doctor_local, "ask", lambda *_: None)
    machine.finds("zstd", "warn", "not installed", "apt-get install zstd")


def test_a_recipient_that_age_refuses(machine: Machine) -> None:
    """In age's words."""
    machine.recipients.write_text(RECIPIENTS[:-6] + "qqqqq\n")
    machine.finds("recipients", "failed", "malformed recipient", "age-keygen -y")


def test_a_recipients_file_that_is_gone(machine: Machine) -> None:
    """The configuration's check says so."""
    machine.recipients.unlink()
    found = machine.look()["configuration"]
    assert (found.result, "recipients.txt" in found.detail) == ("failed", True)


def test_an_identity_that_lies_here(machine: Machine) -> None:
    """It is named by its file, and no part of it is shown."""
    file = machine.directory / "identity.txt"
    shutil.copyfile(IDENTITY_FILE, file)
    machine.finds("identities", "failed", str(file), f"shred -u {file}")
    assert "SECRET-KEY" not in str(machine.look())


def test_an_identity_that_cannot_be_compared(machine: Machine) -> None:
    """Somebody should look at it."""
    (machine.directory / "old.txt").write_text("AGE-SECRET-KEY-1QQQ")
    machine.finds("identities", "warn", "old.txt", "open the store")


def test_a_search_that_hangs(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home on a file server that is down does not hold the rest up."""
    monkeypatch.setattr(doctor_local, "_SEARCH_S", 0.2)
    monkeypatch.setattr(identities, "search", lambda *_: time.sleep(3))
    machine.finds("identities", "warn", "not done within 0.2 s", "file server")


@pytest.mark.parametrize(("factor", "result"), [(0.5, "failed"), (1.05, "failed"), (1.5, "warn"), (3, "ok")])
def test_too_little_space(machine: Machine, monkeypatch: pytest.MonkeyPatch, factor: float, result: str) -> None:
    """The next run takes about what the last ones of all sources took."""
    needed = sum(s.stored_bytes or 0 for s in machine.store.snapshots())
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=int(needed * factor)))
    if result == "ok":
        assert machine.look()["free space"].result == "ok"
    else:
        machine.finds("free space", result, "free; the last run took", "df -h")


def test_a_clock_before_the_newest_snapshot(machine: Machine) -> None:
    """Retention would go by it."""
    machine.finds("clock", "failed", "newest snapshot", "timedatectl", now=START - timedelta(minutes=1))


def test_a_clock_before_the_ledger(machine: Machine) -> None:
    """A failed run leaves a line with a time, too; the line of a prune that refused for its clock is no witness."""
    ledger = Ledger(machine.store.ledger_path)
    ledger.append("run", ok=False, exit_code=1, took_s=1, now=NOW + timedelta(days=1))
    refused = {"refused": "the clock is wrong"}
    ledger.append("prune", ok=False, exit_code=5, took_s=1, now=NOW + timedelta(days=9), detail=refused)
    machine.finds("clock", "failed", "last line of the ledger", "timedatectl")
    assert machine.look(NOW + timedelta(days=2))["clock"].result == "ok"


def test_a_clock_that_leapt(machine: Machine) -> None:
    """However right it is now: prune will not go by it."""
    ledger = Ledger(machine.store.ledger_path)
    for days in (3, 0, 2):
        ledger.append("run", ok=True, exit_code=0, took_s=1, now=NOW - timedelta(days=days))
    machine.finds("clock", "warn", "the clock went back by 2 d", "--clock-is-right", now=NOW)


def test_a_clock_that_is_not_synchronised(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where timedatectl says so."""
    monkeypatch.setattr(doctor_local, "ask", lambda *argv: "no" if argv[0] == "timedatectl" else "v")
    machine.finds("clock", "warn", "not synchronised", "set-ntp")


def test_a_run_under_way(machine: Machine) -> None:
    """It is told with its process; the lock itself is not touched, or a run could fail on it."""
    name = SourceName(HOST, "agama")
    with machine.store.locked(name):
        machine.finds("lock", "warn", f"{name} by process {os.getpid()}", f"ps -fp {os.getpid()}")
    assert machine.look()["lock"].result == "ok"
    path = machine.store.root / ".locks" / HOST / "agama.lock"
    with path.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_snapshot_without_its_runbook(machine: Machine) -> None:
    """RESTORE.txt is what helps when pullagent is gone as well."""
    snapshot = machine.store.snapshots(HOST, "agama")[0]
    snapshot.path.chmod(0o700)
    (snapshot.path / "RESTORE.txt").unlink()
    machine.finds("restore", "failed", str(snapshot.path), f"pullagent run {HOST}/agama")


def test_a_damaged_snapshot_is_none(machine: Machine) -> None:
    """Nothing can be restored from it."""
    snapshot = machine.store.snapshots(HOST, "agama")[0]
    (snapshot.path / "dump.sql.zst.age").unlink()
    machine.finds("restore", "warn", f"yet of {HOST}/agama", f"pullagent run {HOST}/agama")


@pytest.mark.parametrize(
    ("enabled", "active", "result"), [(None, None, "warn"), ("enabled", None, "warn"), ("enabled", "active", "ok")]
)
def test_the_timer(monkeypatch: pytest.MonkeyPatch, enabled: str | None, active: str | None, result: str) -> None:
    """Without it nothing runs by itself; where there is no systemd it is not spoken of."""
    answers = {"is-enabled": enabled, "is-active": active}
    monkeypatch.setattr(doctor_local, "ask", lambda *argv: answers[argv[1]])
    monkeypatch.setattr(Path, "is_dir", lambda _: True)
    (found,) = doctor_local._timer()
    assert (found.result, "systemctl" in found.hint) == (result, result == "warn")
    monkeypatch.setattr(Path, "is_dir", lambda _: False)
    assert list(doctor_local._timer()) == []


def test_a_second_ahead_is_no_fault(machine: Machine) -> None:
    """A snapshot's id is a second late where another has taken the first."""
    assert machine.look(START.astimezone(UTC) - timedelta(seconds=1))["clock"].result == "ok"


def test_a_mirror_without_its_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is late five minutes from now."""
    monkeypatch.setattr(doctor_local, "ask", lambda *_: None)
    monkeypatch.setattr(Path, "is_dir", lambda _: True)
    (found,) = doctor_local._timer(doctor_local.MIRROR_TIMER)
    assert (found.name, found.result) == ("mirrors' timer", "warn")
    assert found.hint == "systemctl enable --now pullagent-mirror.timer"
