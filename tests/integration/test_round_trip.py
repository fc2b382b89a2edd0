"""A whole backup and restore: pull, lose the VM, rebuild it, put everything back, pull again."""

import hashlib
import json
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.agent import AGAMA, HOST, LOGS, Agent, Done, open_sealed, shell
from tests.lab.data import checksums, influx_points
from tests.lab.database import DatabaseServer
from tests.lab.influxdb import InfluxDB
from tests.lab.mariadb import MariaDB
from tests.lab.mysql import MySQL
from tests.lab.processes import run
from tests.lab.production import ProductionHost

KINDS = [MariaDB, pytest.param(MySQL, marks=pytest.mark.mysql)]
ARTIFACTS = {
    AGAMA: {"dump.sql", "accounts.sql", "grants.sql", "inventory.json"},
    LOGS: {"backup.tar", "config.tar", "inventory.json"},
}
RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


class Story:
    """What one loss and restore of a host left to look at."""

    def __init__(self, directory: Path, database: type[DatabaseServer]) -> None:
        self.host = ProductionHost(directory / "host", database)
        self.host.start()
        self.host.seed()
        self.agent = Agent(directory / "backup", self.host)
        self.before = self._contents()
        self.run = self.agent.call("run", "--json")
        self.lose_and_rebuild()
        self.restores = {name: self.agent.restore(f"{name}@latest", "--json") for name in (AGAMA, LOGS)}
        self.after = self._contents()

    def lose_and_rebuild(self) -> None:
        """A fresh VM with a new host key, which is pinned by its fingerprint."""
        self.host.rebuild()
        self.untrusted = self.agent.restore(f"{AGAMA}@latest")
        fingerprint = run(["ssh-keygen", "-l", "-f", "-"], data=self.host.sshd.host_public_key.encode()).split()[1]
        self.trust = self.agent.call("trust", HOST, "--replace", "--fingerprint", fingerprint.decode())

    def _contents(self) -> tuple[dict[str, str], dict[str, Any]]:
        return checksums(self.host.server), influx_points(self.influx, "logs")

    @property
    def influx(self) -> InfluxDB:
        """The host's InfluxDB."""
        assert self.host.influxdb is not None
        return self.host.influxdb


@pytest.fixture(scope="module", params=KINDS)
def story(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """The whole story once for each product; the tests look at its parts."""
    told = Story(tmp_path_factory.mktemp("story"), request.param)
    try:
        yield told
    finally:
        told.host.destroy()


def test_the_first_run_stores_every_source(story: Story) -> None:
    """A run over a database and InfluxDB stores both, ends with 0, and reports exactly the documented fields."""
    report = story.run.succeeded().json
    assert set(report) == {"format", "id", "started", "ended", "exit_code", "sources", "pruned"}
    assert report["exit_code"] == 0
    assert [f"{s['host']}/{s['source']}" for s in report["sources"]] == [AGAMA, LOGS]
    for source in report["sources"]:
        assert set(source) == {
            *("host", "source", "outcome", "ref", "error", "hint", "exit_code"),
            *("plain_bytes", "stored_bytes", "took_s", "warnings"),
        }
        assert source["outcome"] == "stored"
        assert source["error"] is None
        assert source["plain_bytes"] > source["stored_bytes"] > 0
    assert RFC3339.fullmatch(report["started"])
    assert RFC3339.fullmatch(report["ended"])


def test_a_rebuilt_host_is_refused_until_its_new_key_is_pinned(story: Story) -> None:
    """A restore onto the rebuilt VM ends with 13 until `trust --replace` with the right fingerprint has pinned it."""
    story.untrusted.failed(13, "host key has changed", "trust pavroto-2 --replace")
    story.trust.succeeded()
    assert story.host.sshd.known_hosts_line() in story.agent.known_hosts.read_text().splitlines()


def test_everything_comes_back(story: Story) -> None:
    """Every object, row, account and grant of the database, and every point, is equal after the restore."""
    for name in (AGAMA, LOGS):
        story.restores[name].succeeded()
    assert story.after[0] == story.before[0]
    assert story.after[1] == story.before[1]
    assert len(story.before[0]) > 30
    assert story.before[1]


def test_restore_reports_what_it_compared(story: Story) -> None:
    """The report of a restore has the documented fields, and every object in it is equal."""
    for name, done in story.restores.items():
        report = done.succeeded().json
        assert set(report) == {"format", "ref", "target", "ok", "took_s", "rto_s", "objects"}
        assert report["ref"].startswith(f"{name}@")
        assert report["ok"] is True
        assert report["rto_s"] == 3600
        assert all(set(o) == {"name", "kind", "expected", "found", "equal"} for o in report["objects"])
        assert all(o["equal"] for o in report["objects"])
        assert len(report["objects"]) > 3


def test_a_restored_host_can_be_pulled_again(story: Story) -> None:
    """The next run over the restored host stores both sources, with nothing changed in what a dump holds."""
    first = story.run.json["sources"][0]["ref"]
    again = story.agent.call("run", "--json").succeeded().json["sources"][0]["ref"]
    assert _statements(story.agent, again) == _statements(story.agent, first)


def test_list_and_show_have_the_documented_fields(story: Story) -> None:
    """`list --json` and `show --json` print exactly the fields that the interface names."""
    listed = story.agent.call("list", "--json").succeeded().json
    assert set(listed) == {"format", "snapshots"}
    for snapshot in listed["snapshots"]:
        assert set(snapshot) == {
            *("ref", "host", "source", "id", "kind", "taken", "state", "pinned"),
            *("plain_bytes", "stored_bytes", "took_s", "verified", "expires"),
        }
        assert snapshot["ref"] == f"{snapshot['host']}/{snapshot['source']}@{snapshot['id']}"
        assert (snapshot["state"], snapshot["pinned"], snapshot["verified"]) == ("good", False, None)
        assert RFC3339.fullmatch(snapshot["taken"])
        assert RFC3339.fullmatch(snapshot["expires"])
        shown = story.agent.call("show", snapshot["ref"], "--json").succeeded().json
        assert set(shown) == {"format", "ref", "state", "pinned", "path", "manifest"}
        assert shown["path"] == str(story.agent.path(snapshot["ref"]))
        assert shown["manifest"] == json.loads((story.agent.path(snapshot["ref"]) / "manifest.json").read_text())


def test_list_can_be_narrowed(story: Story) -> None:
    """`list HOST/SOURCE` shows that source's snapshots only, newest first."""
    story.agent.call("run", AGAMA).succeeded()
    found = story.agent.call("list", AGAMA, "--json").succeeded().json["snapshots"]
    assert {s["source"] for s in found} == {"agama"}
    assert [s["id"] for s in found] == sorted((s["id"] for s in found), reverse=True)
    assert len(found) >= 2


@pytest.mark.parametrize("name", [AGAMA, LOGS])
def test_the_manifest_describes_the_snapshot(story: Story, name: str) -> None:
    """manifest.json has the documented fields, and its sizes and hashes are those of the files."""
    ref = story.agent.latest(name)
    folder = story.agent.path(ref)
    manifest = json.loads((folder / "manifest.json").read_text())
    assert set(manifest) == {
        *("format", "id", "host", "source", "kind", "state", "taken", "finished", "agent_version"),
        *("tools", "server", "recipients", "warnings", "artifacts"),
    }
    assert f"{manifest['host']}/{manifest['source']}@{manifest['id']}" == ref
    assert set(manifest["server"]) == {"kind", "version"}
    assert manifest["server"]["kind"] == (story.host.server.kind if name == AGAMA else "influxdb")
    assert manifest["recipients"] == [story.agent.recipient]
    assert "age" in manifest["tools"]
    assert {a["name"] for a in manifest["artifacts"]} == ARTIFACTS[name]
    for artifact in manifest["artifacts"]:
        fields = {"name", "file", "plain_bytes", "plain_sha256", "stored_bytes", "stored_sha256"}
        assert set(artifact) == fields
        assert artifact["file"] == artifact["name"] + ".zst.age"
        stored = (folder / artifact["file"]).read_bytes()
        plain = open_sealed(folder / artifact["file"], story.agent.identity)
        assert (len(stored), _sha256(stored)) == (artifact["stored_bytes"], artifact["stored_sha256"])
        assert (len(plain), _sha256(plain)) == (artifact["plain_bytes"], artifact["plain_sha256"])


@pytest.mark.parametrize("name", [AGAMA, LOGS])
def test_the_sums_verify(story: Story, name: str) -> None:
    """`sha256sum -c SHA256SUMS` verifies, and covers every file of a snapshot."""
    folder = story.agent.path(story.agent.latest(name))
    said = shell("sha256sum -c SHA256SUMS", folder)
    named = {line.partition(":")[0] for line in said.splitlines()}
    assert named == {path.name for path in folder.iterdir()} - {"SHA256SUMS"}


def test_nothing_readable_names_what_is_inside(story: Story) -> None:
    """The manifest names no database, table, account or measurement, and no file holds any in clear."""
    secrets = [b"purchase", b"customer", b"agama_owner", b"grafana", b"big_summary"]
    for ref in story.agent.refs():
        folder = story.agent.path(ref)
        manifest = json.loads((folder / "manifest.json").read_text())
        # The source is called agama by hosts.toml; nothing else in the manifest may name the database.
        rest = json.dumps({k: v for k, v in manifest.items() if k not in ("source", "host", "id")})
        assert not re.search(r"agama|logs|purchase|request", rest)
        for path in folder.iterdir():
            assert [s for s in secrets if s in path.read_bytes()] == []


def test_the_store_is_private_and_read_only(story: Story) -> None:
    """Every directory of the store has mode 0700, every published file 0400."""
    agent = story.agent
    directories = [agent.store, *(p for p in agent.store.rglob("*") if p.is_dir())]
    assert {stat.S_IMODE(p.stat().st_mode) for p in directories} == {0o700}
    published = [file for ref in agent.refs() for file in agent.path(ref).iterdir()]
    assert {stat.S_IMODE(p.stat().st_mode) for p in published} == {0o400}
    loose = [p for p in agent.store.rglob("*") if p.is_file() and p not in published]
    assert {stat.S_IMODE(p.stat().st_mode) for p in loose} == {0o600}


def test_the_ledger_tells_the_story(story: Story) -> None:
    """Run, pulls, the refused and the good restores and the trust each have a line with the documented fields."""
    entries = story.agent.ledger()
    fields = {"v", "time", "event", "who", "host", "source", "ref", "ok", "exit_code", "took_s", "detail"}
    assert all(set(e) == fields and e["v"] == 1 and RFC3339.fullmatch(e["time"]) for e in entries)
    told = [(e["event"], e["source"], e["exit_code"], e["ok"]) for e in entries][:7]
    pulls, rest = sorted(told[:2]), told[2:]
    assert pulls == [("pull", "agama", 0, True), ("pull", "logs", 0, True)]
    assert rest == [
        ("run", None, 0, True),
        ("restore", "agama", 13, False),
        ("trust", None, 0, True),
        ("restore", "agama", 0, True),
        ("restore", "logs", 0, True),
    ]
    stored = {e["ref"] for e in entries if e["event"] == "pull" and e["ok"]}
    assert stored == set(story.agent.refs())


def test_fetch_gives_what_is_stored(story: Story, tmp_path: Path) -> None:
    """`fetch` writes HOST_SOURCE_ID with all stored files; with --decrypt it writes the plain artifacts."""
    ref = story.agent.latest(AGAMA)
    name = ref.replace("/", "_").replace("@", "_")
    done = story.agent.call("fetch", ref, "-o", tmp_path / "sealed").succeeded()
    assert _lines(done) == [str(tmp_path / "sealed" / name)]
    shell("sha256sum -c SHA256SUMS", tmp_path / "sealed" / name)
    opening = ("--decrypt", "--identity", story.agent.identity)
    story.agent.call("fetch", ref, "-o", tmp_path / "plain", *opening).succeeded()
    opened = tmp_path / "plain" / name
    assert ARTIFACTS[AGAMA] <= {path.name for path in opened.iterdir()}
    assert (opened / "dump.sql").read_bytes() == open_sealed(
        story.agent.path(ref) / "dump.sql.zst.age", story.agent.identity
    )
    assert stat.S_IMODE((opened / "dump.sql").stat().st_mode) & 0o077 == 0


def _statements(agent: Agent, ref: str) -> list[bytes]:
    """The lines of a stored dump, less when it was made, and a character set that its collation implies."""
    dump = open_sealed(agent.path(ref) / "dump.sql.zst.age", agent.identity)
    lines = [line for line in dump.splitlines() if not line.startswith(b"-- Dump completed")]
    return [line.replace(b" CHARACTER SET utf8mb4 COLLATE ", b" COLLATE ") for line in lines]


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _lines(done: Done) -> list[str]:
    return done.out.splitlines()
