"""The story: a host is backed up, lost, rebuilt and restored, and then compared with what it was."""

import json
import time
from dataclasses import dataclass
from pathlib import Path

from tests.demo.errors import DemoError
from tests.demo.proof import Contents, Proof, contents, points, rows
from tests.demo.terminal import Terminal
from tests.lab.keys import age_identity, ssh_keypair
from tests.lab.production import ProductionHost

ROWS, POINTS = 20_000, 60_000
HOST, SOURCES = "pavroto-2", ("agama", "logs")
_IDENTITY, _SSH_KEY = "operator/age.key", "operator/ssh.key"


@dataclass(frozen=True)
class Figures:
    """What was measured on the way, for the last lines."""

    compared: int
    rows: int
    points: int
    plain_bytes: int
    stored_bytes: int
    pulled_s: float
    restored_s: float


class Story:
    """The steps in their order. The backup server, the operator and production each have a directory in `work`."""

    def __init__(self, work: Path, host: ProductionHost) -> None:
        self._host = host
        self._config = work / "backup" / "hosts.toml"
        self._operator = work / "operator"
        self._terminal = Terminal(work, self._config)

    def tell(self) -> Figures:
        """Play all of it; DemoError at the first step that does not end as it must."""
        before = self._prepare()
        self._trust()
        pulled_s = self._pull()
        plain_bytes, stored_bytes = self._sizes()
        self._look_and_fetch()
        self._lose()
        self._rebuild(before)
        restored_s = self._restore()
        self._prove(before)
        self._pull_again()
        return Figures(len(before), rows(before), points(before), plain_bytes, stored_bytes, pulled_s, restored_s)

    def _prepare(self) -> Contents:
        begun = time.monotonic()
        self._terminal.say("Starting a production host on loopback and filling its databases ...")
        self._host.start()
        self._host.seed(ROWS, POINTS)
        self._set_up_backup_server()
        before = contents(self._host)
        self._terminal.say(f"{_products(self._host)}: up and filled after {time.monotonic() - begun:.1f} s.")
        self._terminal.say(f"They hold {rows(before):,} rows and {points(before):,} points.")
        self._terminal.say("production/ is that host, backup/ the backup server, operator/ your own keys.")
        self._terminal.set_up()
        return before

    def _set_up_backup_server(self) -> None:
        recipient = age_identity(self._operator / "age.key")
        ssh_keypair(self._operator / "ssh.key")
        with self._host.sshd.authorized_keys.open("a") as accepted:
            accepted.write((self._operator / "ssh.key.pub").read_text())
        backup = self._config.parent
        backup.mkdir()
        self._config.write_text(
            self._host.hosts_toml(backup / "store", recipient, self._host.identity, backup / "known_hosts", HOST)
        )

    def _trust(self) -> None:
        self._terminal.step("On the host's own console: which SSH key is its own?")
        fingerprint = self._fingerprint()
        self._terminal.step("Pin that key: an unknown or changed host is never logged in to.")
        self._terminal.run(f"pullagent trust {HOST} --fingerprint {fingerprint}")

    def _fingerprint(self) -> str:
        """As an operator reads it on the console, where nobody can be in between."""
        key = self._host.directory / "console" / "ssh_host_ed25519_key.pub"
        key.parent.mkdir(exist_ok=True)
        key.write_text(self._host.sshd.host_public_key + "\n")
        return self._terminal.show_and_read(f"ssh-keygen -lf production/console/{key.name}").split()[1]

    def _pull(self) -> float:
        self._terminal.step("Pull: dumped on the host; checked, compressed, encrypted on the way here.")
        return self._terminal.run("pullagent run")

    def _sizes(self) -> tuple[int, int]:
        """The bytes of all snapshots, plain and stored."""
        listed = json.loads(self._terminal.read("pullagent list --json"))["snapshots"]
        return sum(one["plain_bytes"] for one in listed), sum(one["stored_bytes"] for one in listed)

    def _look_and_fetch(self) -> None:
        terminal, agama = self._terminal, f"{HOST}/agama@latest"
        terminal.step("What is in the store?")
        terminal.run("pullagent list")
        terminal.step("One snapshot in full: server, recipients, files and their hashes.")
        terminal.run(f"pullagent show {agama}")
        terminal.step("Copy it out as it is stored, encrypted: this needs no key.")
        terminal.run(f"pullagent fetch {agama} -o sealed")
        terminal.step("Copy it out in clear: this takes the operator's age identity.")
        terminal.run(f"pullagent fetch {agama} -o clear --decrypt --identity {_IDENTITY}")
        terminal.step("A stored file opens without pullagent too, with age and zstd alone.")
        terminal.show_and_read(f"age -d -i {_IDENTITY} sealed/*/dump.sql.zst.age | zstd -d | head -n 8")

    def _lose(self) -> None:
        self._terminal.step("The host is lost: its servers are killed, all of its data deleted.")
        self._host.destroy()
        self._terminal.run("ls production/db production/influx", status=2)
        self._terminal.step("A pull now fails, says why, and leaves what is stored alone.")
        stored = self._sizes()
        self._terminal.run("pullagent run", status=1)
        if self._sizes() != stored:
            raise DemoError("the failed pull changed what is stored", "see:  pullagent list; this must never happen")

    def _rebuild(self, before: Contents) -> None:
        terminal = self._terminal
        terminal.step("A fresh VM at the same address: empty servers, another SSH key.")
        self._host.rebuild()
        left = contents(self._host)
        terminal.say(
            f"Its servers answer, and hold {len(left)} of the {len(before)} objects, accounts and tables' contents."
        )
        if left:
            raise DemoError(
                f"the rebuilt host is not empty: {sorted(left)[0]}", "this is an error of the demo: report it"
            )
        terminal.step("The changed key stops everything before any login.")
        terminal.run("pullagent run", status=13)
        terminal.step("Compare on the new console, then replace the pinned key.")
        fingerprint = self._fingerprint()
        terminal.run(f"pullagent trust {HOST} --replace --fingerprint {fingerprint}")

    def _restore(self) -> float:
        took = 0.0
        for source in SOURCES:
            self._terminal.step(f"Restore {source}, with the operator's own SSH key and age identity.")
            keys = f"--identity {_IDENTITY} --ssh-key {_SSH_KEY}"
            took += self._terminal.run(f"pullagent restore {HOST}/{source}@latest --to {HOST} {keys} --yes")
        return took

    def _prove(self, before: Contents) -> None:
        self._terminal.step("Proof: what the servers held before the loss and hold now, asked directly.")
        proof = Proof(before, contents(self._host))
        for line in proof.table():
            self._terminal.say(line)
        if not proof.holds:
            raise DemoError(
                f"not equal: {'; '.join(proof.differing[:10]) or 'there was nothing to compare'}",
                "the restore did not bring back what was stored: report it with this output",
            )
        self._terminal.say("Equal: definitions, accounts, grants, all rows, all points with tags and fields.")
        self._terminal.say("Not compared: InfluxDB's users; their passwords can be neither read nor set.")

    def _pull_again(self) -> None:
        self._terminal.step("The restored host can be backed up again.")
        self._terminal.run("pullagent run")
        self._terminal.run("pullagent list")


def _products(host: ProductionHost) -> str:
    version = host.server.query("SELECT VERSION()")[0][0].partition("-")[0]
    found = f"sshd, {host.server.kind} {version}"
    if host.influxdb is None:
        return found
    build = host.influxdb.series("SHOW DIAGNOSTICS FOR 'build'")[0]
    return f"{found}, influxdb {dict(zip(build['columns'], build['values'][0], strict=True))['Version']}"
