"""A production host: sshd, a database server and InfluxDB on loopback, which can be lost and rebuilt."""

import shutil
import subprocess
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.lab.data import seed_database, seed_influx
from tests.lab.database import DatabaseServer
from tests.lab.influxdb import InfluxDB
from tests.lab.keys import ssh_keypair
from tests.lab.mariadb import MariaDB
from tests.lab.processes import plain_environment
from tests.lab.sshd import Sshd


class ProductionHost:
    """One host below `directory`; constructing starts nothing, leaving the `with` block ends it all.

    `identity` is the pull key, made here, whose public half sshd accepts. Ports and socket stay the same
    over `rebuild`. `server`, `sshd` and `influxdb` are there for tests that break one of them. `sshd_settings`: see
    Sshd.
    """

    def __init__(
        self,
        directory: Path,
        database: type[DatabaseServer] = MariaDB,
        influx: bool = True,
        influx_auth: bool = False,
        sshd_settings: str = "",
    ) -> None:
        self.directory = directory
        self.staging = directory / "staging"
        self.identity = ssh_keypair(directory / "client" / "id_ed25519")
        self.server = database(directory / "db")
        ahead = [self.server.bin] if self.server.bin else []
        public = self.identity.with_name("id_ed25519.pub")
        self.sshd = Sshd(directory / "sshd", public, ahead, without=database.without, settings=sshd_settings)
        self.influxdb = InfluxDB(directory / "influx", auth=influx_auth) if influx else None

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.destroy()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.destroy()

    def start(self) -> None:
        """Start what is not running."""
        self.staging.mkdir(parents=True, exist_ok=True, mode=0o700)
        for part in self._parts():
            if not part.alive:
                part.start()

    def stop(self) -> None:
        """An orderly shutdown; the data stay."""
        for part in self._parts():
            part.stop()

    def seed(self, rows: int = 300, points: int = 6_000, now: datetime | None = None) -> None:
        """Fill it with `agama` (rows: purchases), `logs` and `latency` (points until `now`)."""
        seed_database(self.server, rows)
        if self.influxdb:
            seed_influx(self.influxdb, now, points)

    def destroy(self) -> None:
        """The VM is gone: nothing answers, nothing is left of its data."""
        self.sshd.stop()
        self.server.destroy()
        if self.influxdb:
            self.influxdb.destroy()
        shutil.rmtree(self.staging, ignore_errors=True)

    def rebuild(self, new_host_key: bool = True) -> None:
        """A fresh VM at the same address: empty servers, and a new host key unless told otherwise."""
        self.destroy()
        self.sshd.farm.reset()
        if new_host_key:
            self.sshd.rekey()
        self.start()

    def trust(self, known_hosts: Path) -> None:
        """Pin the present host key in `known_hosts`, in place of all that stood there."""
        known_hosts.parent.mkdir(parents=True, exist_ok=True)
        known_hosts.write_text(self.sshd.known_hosts_line() + "\n")

    def ssh(self, command: str, seconds: float = 60) -> subprocess.CompletedProcess[bytes]:
        """Run `command` on the host with the stock ssh client; raises TimeoutExpired."""
        known_hosts = self.directory / "client" / "known_hosts"
        self.trust(known_hosts)
        options = [
            f"-oUserKnownHostsFile={known_hosts}",
            "-oGlobalKnownHostsFile=/dev/null",
            "-oIdentitiesOnly=yes",
            "-oIdentityAgent=none",
            "-oBatchMode=yes",
            "-oLogLevel=ERROR",
            "-oStrictHostKeyChecking=yes",
        ]
        argv = [
            "ssh",
            "-F",
            "/dev/null",
            *options,
            "-i",
            str(self.identity),
            "-p",
            str(self.sshd.port),
            f"{self.sshd.user}@127.0.0.1",
            command,
        ]
        return subprocess.run(
            argv,
            env=plain_environment(self.directory),
            stdin=subprocess.DEVNULL,
            check=False,
            capture_output=True,
            timeout=seconds,
        )

    def hosts_toml(
        self,
        store: Path,
        recipient: str,
        identity_file: Path,
        known_hosts: Path,
        name: str = "pavroto-2",
        general: bool = True,
    ) -> str:
        """A complete hosts.toml for this host; without `general` only its own tables."""
        head = _GENERAL.format(store=store, recipient=recipient, identity=identity_file, known_hosts=known_hosts)
        text = (head if general else "\n") + _HOST.format(
            name=name,
            port=self.sshd.port,
            user=self.sshd.user,
            identity=identity_file,
            socket=self.server.socket,
        )
        if self.influxdb:
            text += _INFLUX.format(
                name=name,
                config=self.influxdb.config_file,
                api=self.influxdb.http_port,
                backup=self.influxdb.backup_port,
                staging=self.staging,
            )
        return text

    def _parts(self) -> list[DatabaseServer | InfluxDB | Sshd]:
        return [self.server, *([self.influxdb] if self.influxdb else []), self.sshd]


_GENERAL = """\
[store]
path = "{store}"

[encryption]
recipients = ["{recipient}"]

[retention]
days = 14
keep_at_least = 3

[objectives]
rpo_hours = 24
rto_minutes = 60

[ssh]
identity_file = "{identity}"
known_hosts = "{known_hosts}"

"""
_HOST = """\
[hosts.{name}]
address = "127.0.0.1"
port = {port}
user = "{user}"
identity_file = "{identity}"

[hosts.{name}.sources.agama]
kind = "mysql"
databases = ["agama"]
socket = "{socket}"
"""
_INFLUX = """
[hosts.{name}.sources.logs]
kind = "influxdb"
databases = ["logs"]
config_files = ["{config}"]
api = "127.0.0.1:{api}"
backup = "127.0.0.1:{backup}"
staging = "{staging}"
"""
