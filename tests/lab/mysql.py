"""A real MySQL server.

`python -m tests.lab.mysql` fetches its programs into the cache and prints where they are.
"""

import os
import re
from pathlib import Path

from tests.lab.cache import cached
from tests.lab.database import DatabaseServer
from tests.lab.errors import LabError
from tests.lab.mysql_root import mysql_root, wrappers
from tests.lab.processes import Process, plain_environment, run

__all__ = ["MySQL", "mysql_root"]


class MySQL(DatabaseServer):
    """See DatabaseServer. Binary log and GTIDs are on; accounts of the OS user log in by auth_socket."""

    kind = "mysql"
    without = ("mariadb*", "mysql*", "my_print_defaults", "innochecksum")

    @property
    def bin(self) -> Path:
        """The directory of this MySQL's programs."""
        return wrappers(mysql_root())

    def _empty_data(self) -> Path:
        said = run([self.bin / "mysqld", "--no-defaults", "--version"]).decode()
        version = re.search(r"Ver (\S+)", said)
        if version is None:
            raise LabError(f"cannot read a version from {said!r}")
        return cached(f"mysql-{version[1]}-{self.account}", self._initialise)

    def _server_argv(self, data: Path, socket: Path) -> list[str | Path]:
        root = mysql_root()
        temporary = self.directory / "tmp"
        temporary.mkdir(parents=True, exist_ok=True)
        return [
            self.bin / "mysqld",
            "--no-defaults",
            f"--basedir={root / 'usr'}",
            f"--datadir={data}",
            f"--lc-messages-dir={root / 'usr/share/mysql'}",
            f"--character-sets-dir={root / 'usr/share/mysql/charsets'}",
            f"--plugin-dir={root / 'usr/lib/mysql/plugin'}",
            f"--socket={socket}",
            f"--tmpdir={temporary}",
            f"--pid-file={self.directory / 'server.pid'}",
            "--secure-file-priv=NULL",
            "--skip-networking",
            "--mysqlx=OFF",
            "--server-id=1",
            "--log-bin=binlog",
            "--gtid-mode=ON",
            "--enforce-gtid-consistency=ON",
            "--event-scheduler=ON",
            "--auto-generate-certs=OFF",
            "--skip-name-resolve",
            "--caching-sha2-password-auto-generate-rsa-keys=OFF",
            "--innodb-redo-log-capacity=64M",
            "--innodb-flush-log-at-trx-commit=2",
            "--sync-binlog=0",
            "--innodb-buffer-pool-size=128M",
            *(["--user=root"] if os.getuid() == 0 else []),
        ]

    def _initialise(self, target: Path) -> None:
        """An empty data directory, with the OS user's account bound to its socket login."""
        data, log = target / "data", target / "initialise.log"
        socket = self.socket
        self.directory.mkdir(parents=True, exist_ok=True)
        argv = self._server_argv(data, socket)
        run([*argv, "--initialize-insecure"], env=plain_environment(target))
        server = Process()
        server.start(argv, log, plain_environment(target))
        try:
            server.wait_ready(lambda: self._bootstrap("SELECT 1"), 60, "MySQL's first start")
            if not self._bootstrap(self._accounts()):
                raise LabError("MySQL refused the laboratory's accounts")
        finally:
            server.stop(30)
        # Each copy must make its own server UUID, and begins with an empty binary log.
        for leftover in (data / "auto.cnf", *data.glob("*.pem"), *data.glob("binlog.*"), log):
            leftover.unlink(missing_ok=True)
        for entry in data.iterdir():
            entry.rename(target / entry.name)
        data.rmdir()

    def _bootstrap(self, sql: str) -> bool:
        argv = [
            self.program("mysql"),
            "--no-defaults",
            f"--socket={self.socket}",
            "--user=root",
            f"--execute={sql}",
        ]
        try:
            run(argv, env=plain_environment(self.directory))
        except LabError:
            return False
        return True

    def _accounts(self) -> str:
        account = f"`{self.account}`@`localhost`"
        # Not written to the binary log: a fresh host's history begins empty.
        return (
            "SET sql_log_bin = 0; INSTALL PLUGIN auth_socket SONAME 'auth_socket.so';"
            f" CREATE USER IF NOT EXISTS {account} IDENTIFIED WITH auth_socket;"
            f" GRANT ALL ON *.* TO {account} WITH GRANT OPTION;"
            f" ALTER USER {account} IDENTIFIED WITH auth_socket;"
        )


if __name__ == "__main__":
    print(mysql_root())
