"""Records the answers of real servers below tests/vectors; run by hand: `python -m tests.vectors.record`.

Every command is one of pullagent's own, run over a real SSH session. What names the machine is taken out.
"""

import json
import os
import shutil
import socket
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pullagent.host import Host, Limits, Login
from pullagent.model import Address, Findings, StopSignal
from pullagent.sources.files import Files
from pullagent.sources.git import Git
from pullagent.sources.influxdb import InfluxDB
from pullagent.sources.mysql import MySQL
from tests.lab.data import EXTRA, agama_sql, seed_influx
from tests.lab.database import DatabaseServer
from tests.lab.errors import LabError
from tests.lab.mariadb import MariaDB
from tests.lab.mysql import MySQL as RealMySQL
from tests.lab.processes import run
from tests.lab.production import ProductionHost
from tests.lab.repository import Repository
from tests.vectors import ANSWERS, DUMPS, label
from tests.vectors.corners import CORNERS_SQL, MARIADB_CORNERS_SQL

SERVERS: dict[str, type[DatabaseServer]] = {"mariadb-10.11": MariaDB, "mysql-9.7": RealMySQL}
_TABLE_TYPES = {"BASE TABLE": "table", "SYSTEM VERSIONED": "table"}


def main() -> None:
    """Record everything anew."""
    for old in (ANSWERS, DUMPS):
        shutil.rmtree(old, ignore_errors=True)
        old.mkdir()
    for name, server in SERVERS.items():
        with tempfile.TemporaryDirectory() as scratch, ProductionHost(Path(scratch), server, influx=False) as host:
            _record_database(name, host)
    with tempfile.TemporaryDirectory() as scratch, ProductionHost(Path(scratch)) as host:
        _record_influx(host)
        _record_git(host)
        _record_files(host)


def _record_database(name: str, host: ProductionHost) -> None:
    server = host.server
    server.load(agama_sql(20))
    server.load(EXTRA[server.kind], "agama")
    server.load(CORNERS_SQL + (MARIADB_CORNERS_SQL if server.kind == "mariadb" else ""))
    for database in ("agama", "corners"):
        for command in filter(_Fitting(server.kind), MySQL((database,), socket=str(server.socket)).commands()):
            if label(command) == "dump":
                _write(DUMPS / f"{name}-{database}.sql", _answer(host, command), host)
            elif database == "agama":
                _write(ANSWERS / name / f"{label(command)}.txt", _answer(host, command), host)
        objects = json.dumps(sorted(_objects(server, database)), indent=0, ensure_ascii=False)
        _write(DUMPS / f"{name}-{database}.json", f"{objects}\n".encode(), host)


class _Fitting:
    """Whether a command is meant for this product."""

    def __init__(self, kind: str) -> None:
        self._kind = kind

    def __call__(self, command: str) -> bool:
        if label(command) == "accounts":
            return ("is_role" in command) == (self._kind == "mariadb")
        if label(command) == "dump":
            return ("--set-gtid-purged" in command) == (self._kind == "mysql") and "--column-stat" not in command
        return True


def _objects(server: DatabaseServer, database: str) -> Iterator[list[str]]:
    """Everything in `database`, and `rows` for each table that has some."""
    where = f"schema = '{database}'"
    for kind, name in server.query(
        f"SELECT table_type, table_name FROM information_schema.tables WHERE table_{where};"
        f"SELECT routine_type, routine_name FROM information_schema.routines WHERE routine_{where};"
        f"SELECT 'trigger', trigger_name FROM information_schema.triggers WHERE trigger_{where};"
        f"SELECT 'event', event_name FROM information_schema.events WHERE event_{where}"
    ):
        yield [_TABLE_TYPES.get(kind, kind.lower()), database, name]
        if kind in _TABLE_TYPES:
            quoted = "`" + name.replace("`", "``") + "`"
            if server.query(f"SELECT EXISTS(SELECT 1 FROM `{database}`.{quoted})") == [("1",)]:
                yield ["rows", database, name]


def _record_influx(host: ProductionHost) -> None:
    if host.influxdb is None:
        raise LabError("there is no InfluxDB")
    seed_influx(host.influxdb, points=120)
    api, backup = (f"127.0.0.1:{port}" for port in (host.influxdb.http_port, host.influxdb.backup_port))
    for command in InfluxDB(("logs",), api=api, backup=backup, staging=str(host.staging)).commands():
        kind = "tar" if label(command) in ("backup", "configuration") else "txt"
        _write(ANSWERS / "influxdb-1.6" / f"{label(command)}.{kind}", _answer(host, command), host)


class _Listening(Host):
    """A host that keeps what a command says while it is talked to."""

    said = b""

    def converse(self, command: str, chunks: Iterable[bytes], stop: StopSignal | None = None) -> Any:
        """Its output; the last command's is kept."""
        self.said = b""
        for chunk in super().converse(command, chunks, stop):
            self.said += chunk
            yield chunk


def _record_git(host: ProductionHost) -> None:
    repository = Repository(host.directory / "ansible.git")
    repository.decorate()
    host.trust(host.directory / "pins")
    address = Address("127.0.0.1", host.sshd.port, host.sshd.user)
    login = Login("pavroto-2", address, host.directory / "pins", (host.identity,))
    with (there := _Listening(login, Limits(), StopSignal())):
        for artifact in Git(str(repository.bare), clear_mirror=False).artifacts(there, Findings()):
            for _ in artifact.stream:
                pass
        version = run(["git", "version"]).decode().split()[2].rpartition(".")[0]
        _write(ANSWERS / f"git-{version}" / "upload-pack.bin", there.said, host)


def _record_files(host: ProductionHost) -> None:
    """A tree with a member of every type in place of the machine's own /etc."""
    top = host.directory / "root"
    (top / "etc/empty").mkdir(parents=True)
    (top / "etc/hostname").write_text("pavroto-2\n")
    (top / "etc/shadow").write_text("root:*:20000:0:99999:7:::\n")
    (top / "etc/shadow").chmod(0o640)
    os.link(top / "etc/hostname", top / "etc/mailname")
    (top / "etc/localtime").symlink_to("/usr/share/zoneinfo/Etc/UTC")
    (top / f"etc/{'long name ' * 25}").write_text("x")
    os.mkfifo(top / "etc/fifo")
    os.setxattr(top / "etc/hostname", "user.note", b"kept \xff")
    with (top / "etc/sparse").open("wb") as file:
        file.write(b"head")
        file.truncate(50 << 20)
    for command in Files(("/etc",)).commands():
        name = label(command)
        data = _answer(host, command.replace("--directory / ", f"--directory {top} "))
        if name == "mounts":
            data = b"/dev/vda1 / ext4 rw,relatime 0 0\nproc /proc proc rw,nosuid,nodev,noexec,relatime 0 0\n"
        kind = "tar" if name == "archive" else "txt"
        _write(ANSWERS / "gnu-tar-1.34" / f"{name}.{kind}", data, host)


def _answer(host: ProductionHost, command: str) -> bytes:
    done = host.ssh(command)
    if done.returncode:
        raise LabError(f"{label(command)} ended with {done.returncode}: {done.stderr.decode(errors='replace')}")
    return done.stdout


def _write(path: Path, data: bytes, host: ProductionHost) -> None:
    path.parent.mkdir(exist_ok=True)
    if path.suffix == ".txt":
        data = data.replace(socket.gethostname().encode(), b"pavroto-2")
        data = data.replace(str(host.directory).encode(), b"/var/lib/lab")
    path.write_bytes(data)


if __name__ == "__main__":
    main()
