"""A real MariaDB server: the system's programs, a data directory of its own."""

import os
import re
from pathlib import Path

from tests.lab.cache import cached
from tests.lab.database import DatabaseServer
from tests.lab.errors import LabError
from tests.lab.processes import plain_environment, run

DAEMON = "/usr/sbin/mariadbd"
LOG_FILE_SIZE = "--innodb-log-file-size=32M"


class MariaDB(DatabaseServer):
    """See DatabaseServer; the programs are those of the system's mariadb-server package."""

    kind = "mariadb"

    @property
    def bin(self) -> Path | None:
        """None: the programs are the system's."""
        return None

    def _empty_data(self) -> Path:
        said = run([DAEMON, "--no-defaults", "--version"]).decode()
        version = re.search(r"Ver (\S+)", said)
        if version is None:
            raise LabError(f"cannot read a version from {said!r}")
        return cached(f"mariadb-{version[1]}-{self.account}", self._initialise)

    def _initialise(self, target: Path) -> None:
        # The installer's default is for production sizes; `--skip-name-resolve` keeps it off the network.
        argv = [
            "mariadb-install-db",
            "--no-defaults",
            f"--datadir={target}",
            "--skip-test-db",
            "--skip-name-resolve",
            "--auth-root-authentication-method=socket",
            f"--auth-root-socket-user={self.account}",
            LOG_FILE_SIZE,
        ]
        run([*argv, *_as_root()], env=plain_environment(target, {"TMPDIR": str(self.directory)}))

    def _server_argv(self, data: Path, socket: Path) -> list[str | Path]:
        # Its own: a server that starts deletes the temporary tables of all that share its directory.
        temporary = self.directory / "tmp"
        temporary.mkdir(parents=True, exist_ok=True)
        return [
            DAEMON,
            "--no-defaults",
            f"--datadir={data}",
            f"--socket={socket}",
            f"--tmpdir={temporary}",
            f"--pid-file={self.directory / 'server.pid'}",
            "--skip-networking",
            "--skip-name-resolve",
            "--character-set-server=utf8mb4",
            "--collation-server=utf8mb4_general_ci",
            "--event-scheduler=ON",
            "--innodb-buffer-pool-size=128M",
            LOG_FILE_SIZE,
            "--innodb-flush-log-at-trx-commit=2",
            "--innodb-fast-shutdown=1",
            "--max-allowed-packet=64M",
            *_as_root(),
        ]


def _as_root() -> list[str]:
    """Both MariaDB programs refuse to run as root unless told so."""
    return ["--user=root"] if os.getuid() == 0 else []
