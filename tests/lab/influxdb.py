"""A real InfluxDB 1.x server with a configuration file, ports and directories of its own."""

import base64
import json
import shutil
import socket
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

from tests.lab.errors import LabError
from tests.lab.processes import Server, free_port, plain_environment, wait_free

DAEMON = "/usr/bin/influxd"
ADMIN = ("root", "admin pa$$ w'ord")


class InfluxDB(Server):
    """One server below `directory`, on loopback; constructing starts nothing.

    `http_port`, `backup_port`: given to rebuild a server at the same place. With `auth` the first start
    makes the administrator `ADMIN`, as whom `query` and `write` then log in; the backup port never asks for
    a login.
    """

    kind = "influxdb"

    def __init__(
        self,
        directory: Path,
        http_port: int | None = None,
        backup_port: int | None = None,
        auth: bool = False,
    ) -> None:
        super().__init__()
        self.directory = directory
        self.http_port = http_port or free_port()
        self.backup_port = backup_port or free_port()
        self.auth = auth
        self.config_file = directory / "influxdb.conf"
        self.log = directory / "influxd.log"
        self.started_in = 0.0

    def start(self) -> None:
        """Start with the data that are there, or with none; returns when both ports answer."""
        began = time.monotonic()
        self.directory.mkdir(parents=True, exist_ok=True)
        if not self.config_file.exists():
            self.config_file.write_text(self._config())
        for port in (self.http_port, self.backup_port):
            wait_free(port)
        argv = [DAEMON, "run", "-config", str(self.config_file)]
        self._process.start(argv, self.log, plain_environment(self.directory))
        self._process.wait_ready(self._answers, 30, f"InfluxDB on ports {self.http_port} and {self.backup_port}")
        if self.auth:
            # Allowed without a login while there is no administrator, and harmless when it is there already.
            name, password = ADMIN
            self.query(f'CREATE USER "{name}" WITH PASSWORD {quoted(password)} WITH ALL PRIVILEGES')
        self.started_in = time.monotonic() - began

    def destroy(self) -> None:
        """End it and delete all data and the configuration; `start` then begins empty on the same ports."""
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    def query(self, q: str, db: str | None = None) -> dict[str, Any]:
        """The answer to `q` (times in nanoseconds since 1970); LabError if any statement fails."""
        answer: dict[str, Any] = json.loads(self._post("query", {"q": q, "epoch": "ns", **_named(db)}, b""))
        errors = [result["error"] for result in answer.get("results", []) if "error" in result]
        if errors:
            raise LabError(f"{q}: {'; '.join(errors)}")
        return answer

    def series(self, q: str, db: str | None = None) -> list[dict[str, Any]]:
        """All series of all statements in `q`, each with name, tags, columns and values where it has them."""
        return [series for result in self.query(q, db)["results"] for series in result.get("series", [])]

    def column(self, q: str, db: str | None = None) -> list[str]:
        """The first column of the answer to `q`, such as the names of databases or measurements."""
        return [str(row[0]) for series in self.series(q, db) for row in series.get("values", [])]

    def write(self, db: str, lines: str, policy: str | None = None) -> None:
        """Write points in line protocol (times in nanoseconds) into `policy` or the default one."""
        every = lines.splitlines()
        target = {"db": db, "precision": "ns", **({"rp": policy} if policy else {})}
        for start in range(0, len(every), 5_000):
            self._post("write", target, "\n".join(every[start : start + 5_000]).encode())

    def _post(self, path: str, parameters: dict[str, str], body: bytes) -> bytes:
        url = f"http://127.0.0.1:{self.http_port}/{path}?{urllib.parse.urlencode(parameters)}"
        request = urllib.request.Request(url, data=body, method="POST")
        if self.auth:
            request.add_header("Authorization", "Basic " + base64.b64encode(":".join(ADMIN).encode()).decode())
        # No proxy of the developer's environment may come between.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=60) as response:
                return bytes(response.read())
        except urllib.error.HTTPError as error:
            raise LabError(f"InfluxDB answered {error.code}: {error.read().decode('utf-8', 'replace')}") from error
        except OSError as error:
            raise LabError(f"InfluxDB on port {self.http_port}: {error}") from error

    def _answers(self) -> bool:
        try:
            self._post("query", {"q": "SHOW DIAGNOSTICS FOR 'build'"}, b"")
        except LabError as error:
            # With `auth` on, a refusal is an answer too.
            if " 401: " not in str(error) and " 403: " not in str(error):
                return False
        try:
            with socket.create_connection(("127.0.0.1", self.backup_port), 1):
                return True
        except OSError:
            return False

    def _config(self) -> str:
        data = self.directory / "data"
        return (
            f'reporting-disabled = true\nbind-address = "127.0.0.1:{self.backup_port}"\n\n'
            f'[meta]\n  dir = "{data / "meta"}"\n\n'
            f'[data]\n  dir = "{data / "data"}"\n  wal-dir = "{data / "wal"}"\n\n'
            "[monitor]\n  store-enabled = false\n\n"
            # The check would delete test data older than their policy's duration in mid-test.
            "[retention]\n  enabled = false\n\n"
            # Continuous queries would write points at times of their own.
            '[continuous_queries]\n  run-interval = "24h"\n\n'
            f'[http]\n  bind-address = "127.0.0.1:{self.http_port}"\n'
            f"  auth-enabled = {str(self.auth).lower()}\n"
            "  log-enabled = false\n"
        )


def quoted(text: str) -> str:
    """`text` as a string of InfluxQL."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _named(db: str | None) -> dict[str, str]:
    return {"db": db} if db else {}
