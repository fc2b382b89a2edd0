"""What MariaDB and MySQL have in common: life cycle, socket, queries through the stock client."""

import os
import pwd
import shutil
import subprocess
import tempfile
import time
import weakref
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

from tests.lab.cache import copy_tree
from tests.lab.errors import LabError
from tests.lab.processes import Server, plain_environment, run

SOCKET_PATH_BYTES = 100  # Linux allows 107; the server adds suffixes for its lock files.
_ESCAPES = {ord("n"): "\n", ord("t"): "\t", ord("0"): "\0", ord("\\"): "\\"}


class DatabaseServer(Server, ABC):
    """One server below `directory`, reachable only over `socket`; constructing starts nothing.

    The OS user that runs it logs in over the socket without a password, as `account`@localhost with all
    privileges. `options`: further arguments of the server program; they win over the laboratory's own. `within`: a
    command line that runs the server's.
    """

    kind: ClassVar[str]
    """The name of the product: mariadb or mysql."""
    without: ClassVar[tuple[str, ...]] = ()
    """Patterns of system programs that a host with this server does not have."""

    def __init__(self, directory: Path, options: Sequence[str] = ()) -> None:
        super().__init__()
        self.directory = directory
        self.data = directory / "data"
        self.log = directory / "server.log"
        self.account = pwd.getpwuid(os.getuid()).pw_name
        self.socket = self._socket_path()
        self.started_in = 0.0
        self._options = tuple(options)
        self.within: tuple[str, ...] = ()

    @property
    @abstractmethod
    def bin(self) -> Path | None:
        """The directory to put first on PATH for this product's programs; None if they are the system's."""

    @abstractmethod
    def _empty_data(self) -> Path:
        """A cached, initialised, empty data directory to copy."""

    @abstractmethod
    def _server_argv(self, data: Path, socket: Path) -> list[str | Path]:
        """The server's command line, `options` left out."""

    @property
    def pid(self) -> int:
        """The server's pid; LabError if it is not running."""
        return self._process.pid

    def start(self) -> None:
        """Start with the data that are there, or with none; returns when it answers, after `started_in` s."""
        began = time.monotonic()
        self.directory.mkdir(parents=True, exist_ok=True)
        if not self.data.exists():
            copy_tree(self._empty_data(), self.data)
        argv = [*self.within, *self._server_argv(self.data, self.socket), *self._options]
        self._process.start(argv, self.log, plain_environment(self.directory))
        self._process.wait_ready(self._answers, 60, f"{self.kind} on {self.socket}")
        self.started_in = time.monotonic() - began

    def destroy(self) -> None:
        """End it and delete all data; `start` then begins with an empty server on the same socket."""
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)
        self.socket.unlink(missing_ok=True)

    def program(self, name: str) -> str:
        """The path or name of one of this product's client programs, such as mysql or mysqldump."""
        return str(self.bin / name) if self.bin else name

    def client(self, *arguments: str) -> list[str]:
        """The command line of the stock client, logged in, reading no option file."""
        login = ["--no-defaults", f"--socket={self.socket}", f"--user={self.account}"]
        # --comments: without it the client strips the comments out of the bodies of routines.
        return [self.program("mysql"), *login, "--default-character-set=utf8mb4", "--comments", *arguments]

    def query(self, sql: str, database: str | None = None) -> list[tuple[str, ...]]:
        """The rows of all statements in `sql` as text; a NULL is the word NULL. LabError where one fails."""
        return [_row(line) for line in self.execute(sql, database).split(b"\n") if line]

    def rows(self, sql: str, database: str | None = None) -> Iterator[bytes]:
        """The rows of `sql` as the client's escaped, tab-separated lines, read one by one: for big tables."""
        argv = self.client("--batch", "--skip-column-names", "--quick", f"--execute={sql}", *_named(database))
        with (
            tempfile.TemporaryFile() as errors,
            subprocess.Popen(
                argv,
                env=self._client_environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
            ) as client,
        ):
            if client.stdout is None:
                raise LabError("the client has no stdout")
            yield from client.stdout
            if client.wait() != 0:
                errors.seek(0)
                raise LabError(f"{sql}: {errors.read().decode('utf-8', 'replace')}")

    def load(self, sql_text: str | bytes, database: str | None = None) -> None:
        """Feed a script (DELIMITER allowed) to the client; LabError at its first error."""
        self.execute(sql_text, database)

    def execute(self, sql: str | bytes, database: str | None = None) -> bytes:
        """Feed `sql` to the client and return its raw output."""
        data = sql if isinstance(sql, bytes) else sql.encode()
        argv = self.client("--batch", "--skip-column-names", *_named(database))
        return run(argv, env=self._client_environment(), data=data, seconds=600)

    def dump(self, *databases: str) -> bytes:
        """A dump of `databases` with everything in them, by this product's own mysqldump."""
        flags = ["--single-transaction", "--quick", "--routines", "--events", "--triggers", "--hex-blob"]
        if self.kind == "mysql":
            flags += ["--set-gtid-purged=OFF", "--no-tablespaces"]
        argv = [self.program("mysqldump"), *self.client()[1:-1], *flags, "--databases", *databases]
        return run(argv, env=self._client_environment(), seconds=600)

    def _answers(self) -> bool:
        if not self.socket.exists():
            return False
        try:
            return self.query("SELECT 1") == [("1",)]
        except LabError:
            return False

    def _client_environment(self) -> dict[str, str]:
        return plain_environment(self.directory)

    def _socket_path(self) -> Path:
        path = self.directory / "mysqld.sock"
        if len(os.fsencode(path)) <= SOCKET_PATH_BYTES:
            return path
        short = Path(tempfile.mkdtemp(prefix="pa-lab-"))
        weakref.finalize(self, shutil.rmtree, short, ignore_errors=True)
        if len(os.fsencode(short)) > SOCKET_PATH_BYTES - 12:
            raise LabError(f"{short} is too long a path for a Unix socket: set TMPDIR to a shorter one")
        return short / "mysqld.sock"


def _named(database: str | None) -> list[str]:
    return [f"--database={database}"] if database else []


def _row(line: bytes) -> tuple[str, ...]:
    return tuple(unescape(field.decode("utf-8", "surrogateescape")) for field in line.split(b"\t"))


def unescape(field: str) -> str:
    """Undo the batch escapes of the client in one field or line."""
    if "\\" not in field:
        return field
    out: list[str] = []
    characters = iter(field)
    for character in characters:
        if character == "\\":
            following = next(characters, "")
            out.append(_ESCAPES.get(ord(following), following) if following else "\\")
        else:
            out.append(character)
    return "".join(out)
