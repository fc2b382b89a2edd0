"""Where it is measured: one host on loopback, one backup server, and the shell pipelines that it is compared with."""

import shlex
import shutil
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.bench import dump
from tests.bench.measure import Measured, measure
from tests.faults.netns import Cable
from tests.integration.agent import HOST, Agent
from tests.integration.wrappers import DUMPS, programs
from tests.lab.database import DatabaseServer
from tests.lab.mariadb import MariaDB
from tests.lab.production import ProductionHost

ROOT = Path(__file__).parents[2]
# what the dump program is asked for in the pipelines, as an operator would write it
FLAGS = "--single-transaction --quick --routines --events --triggers --hex-blob --default-character-set=utf8mb4"
_SOURCE = """
[hosts.{host}.sources.{name}]
kind = "mysql"
databases = ["{name}"]
socket = "{socket}"
"""


class Ground:
    """A host whose dump program hands out recorded dumps, and a backup server beside it; `with` ends it all."""

    def __init__(
        self,
        directory: Path,
        database: type[DatabaseServer] = MariaDB,
        *,
        influx: bool = False,
        link: Cable | None = None,
    ) -> None:
        self.directory, self._link = directory, link
        settings = f"ListenAddress {link.here}\n" if link else ""
        self.host = ProductionHost(directory / "host", database, influx=influx, sshd_settings=settings)
        self._recorded: dict[int, dump.Recorded] = {}

    def __enter__(self) -> Self:
        self.host.__enter__()
        self.agent = Agent(self.directory / "backup", self.host)
        self.agent.configure(_roomy(self.agent.config_file.read_text()))
        self._address = self._link.here if self._link else "127.0.0.1"
        self.agent.edit('address = "127.0.0.1"', f'address = "{self._address}"')
        pinned = self.agent.known_hosts.read_text()
        self.agent.known_hosts.write_text(pinned.replace("127.0.0.1", self._address))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.host.__exit__(kind, error, trace)

    def record(self, size: int) -> dump.Recorded:
        """A dump of about `size` bytes, of a server that really has its tables: made once."""
        if size not in self._recorded:
            self._create("agama")
            file = self.directory / f"{size}.sql"
            self._recorded[size] = dump.record(self.host.server.dump("agama"), file, size)
        return self._recorded[size]

    def serve(self, recorded: dump.Recorded, size: int = 0) -> None:
        """Have the host's dump program hand out what was recorded, `size` bytes of it; it answers all else truly."""
        self._answer_dumps(recorded.script(size))

    def serve_many(self, recorded: dump.Recorded, count: int) -> list[str]:
        """Have it hand out such a dump of each of `count` databases, each a source; the databases' names."""
        names = ["agama", *(f"agama_{number}" for number in range(2, count + 1))]
        for name in names:
            self._create(name)
            recorded.renamed("agama", name, self.directory / f"{name}.sql")
        self._answer_dumps(f'for name; do :; done; exec cat {shlex.quote(str(self.directory))}/"$name".sql')
        socket = self.host.server.socket
        text = "".join(_SOURCE.format(host=HOST, name=name, socket=socket) for name in names[1:])
        self.agent.reset()
        self.agent.configure(_roomy(self.agent.config_file.read_text() + text))
        self.agent.edit('\nuser = "', f'\njobs_per_host = {count}\nuser = "')
        return names

    def _create(self, database: str) -> None:
        if (database,) not in self.host.server.query("SHOW DATABASES"):
            self.host.server.load((dump.SCHEMA + dump.ONE_OF_EACH).replace("agama", database))

    def _answer_dumps(self, script: str) -> None:
        for name, real in programs(self.host, *DUMPS).items():
            self.host.sshd.put_first(name, f'case "$*" in *--databases*) {script} ;; esac\nexec {real} "$@"')

    def pullagent(self, *arguments: str | Path, good: tuple[int, ...] = (0,)) -> Measured:
        """`pullagent ARGUMENTS`, measured."""
        argv = self._placed(self.agent.argv(*arguments))
        return measure(argv, env=self.agent.environment(), cwd=self.agent.home, good=good)

    def shell(self, script: str, good: tuple[int, ...] = (0,)) -> Measured:
        """A script of bash with pipefail, measured."""
        argv = self._placed(["bash", "-euo", "pipefail", "-c", script])
        return measure(argv, env=self.agent.environment(), cwd=self.agent.directory, good=good)

    def _placed(self, argv: list[str]) -> list[str]:
        """The command line at the backup server's end of the link."""
        return self._link.inside(argv) if self._link else argv

    @property
    def ssh(self) -> str:
        """The stock client's command line up to the remote command, with its own choice of ciphers."""
        options = f"-F /dev/null -o BatchMode=yes -o UserKnownHostsFile={self.agent.known_hosts} -o LogLevel=ERROR"
        return f"ssh {options} -i {self.host.identity} -p {self.host.sshd.port} {self.host.sshd.user}@{self._address}"

    def ssh_dump(self, database: str = "agama") -> str:
        """The stock client reading the same stream that a pull reads."""
        program = "mysqldump" if self.host.server.kind == "mysql" else "mariadb-dump"
        more = " --set-gtid-purged=OFF --no-tablespaces" if self.host.server.kind == "mysql" else ""
        command = f"{program} --socket={self.host.server.socket} {FLAGS}{more} --databases {database}"
        return f"{self.ssh} {shlex.quote(command)}"

    def pipeline(self, database: str = "agama") -> str:
        """What an operator would write in place of a pull."""
        return f"{self.ssh_dump(database)} | zstd -q -3 -T1 | age -r {self.agent.recipient} >{database}.zst.age"

    def shown(self, script: str) -> str:
        """A script as an operator would write it: without the places of this run."""
        for found, name in (
            (self.ssh, "ssh HOST"),
            (self.agent.recipient, "RECIPIENT"),
            (str(self.agent.directory), "/backup"),
            (str(self.host.server.socket), "SOCKET"),
        ):
            script = script.replace(found, name)
        return script

    def forget(self) -> None:
        """Remove what was stored, so that no run is judged or slowed by earlier ones."""
        # and that there was a store, which must not vanish
        for place in (self.agent.store, self.agent.home / "state"):
            shutil.rmtree(place, ignore_errors=True)


def _roomy(text: str) -> str:
    """hosts.toml without a reserve of disk space: a benchmark may use what there is."""
    return text.replace("[store]", "[store]\nmin_free_percent = 0", 1)
