"""What every source kind does in a pull, against answers recorded from real servers: sound artifacts."""

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pullagent.config import load
from pullagent.errors import ContentError, PullAgentError, SourceError
from pullagent.model import Artifact, Findings, SourceName
from pullagent.opened import OpenedSnapshot
from pullagent.pull import Puller
from pullagent.seal import Identity
from pullagent.sources import KINDS
from pullagent.sources.base import Remote, Source
from pullagent.store import Store
from pullagent.wire.choice import Choice, Past
from tests.contract.kinds import EXAMPLES, build
from tests.unit.sealing import IDENTITY_FILE
from tests.unit.toml import changed, document
from tests.vectors import label
from tests.vectors.canned import CannedHost, CannedStream, Undeclared

RECORDED = [(kind, server) for kind in KINDS for server in EXAMPLES[kind].servers]
each_recording = pytest.mark.parametrize(("kind", "server"), RECORDED, ids=lambda part: part)
WHEN = datetime(2026, 11, 23, 1, 0, 3, tzinfo=UTC)


def consumed(artifacts: Iterator[Artifact]) -> dict[str, bytes]:
    """Each artifact's bytes, passed through its check as a pull does."""
    found = {}
    for artifact in artifacts:
        chunks = []
        for chunk in artifact.stream:
            artifact.check.feed(chunk)
            chunks.append(chunk)
        artifact.check.finish()
        found[artifact.name] = b"".join(chunks)
    return found


def pulled(kind: str, server: str) -> tuple[dict[str, bytes], CannedHost, Findings]:
    """A pull of the shortest table."""
    source = build(kind, EXAMPLES[kind].least)
    host, findings = CannedHost(source, server), Findings()
    return consumed(source.artifacts(host, findings)), host, findings


@each_recording
def test_only_declared_commands_are_sent(kind: str, server: str) -> None:
    """A gate that allows exactly `commands()` lets a whole pull pass."""
    _, host, _ = pulled(kind, server)
    assert host.sent
    assert set(host.sent) <= set(build(kind, EXAMPLES[kind].least).commands())


def test_the_canned_host_refuses_the_rest() -> None:
    """The test above can fail: what is not declared is refused."""
    host = CannedHost(build("mysql", {"databases": ["agama"]}), "mariadb-10.11")
    with pytest.raises(Undeclared):
        host.read("id")


@each_recording
def test_all_artifacts_come_once(kind: str, server: str) -> None:
    """Exactly the artifacts of the kind, none of them empty."""
    artifacts, _, _ = pulled(kind, server)
    assert sorted(artifacts) == sorted(KINDS[kind].artifact_names)
    assert all(artifacts.values())


@each_recording
def test_the_server_is_found_out(kind: str, server: str) -> None:
    """The manifest will say which server and which program of what version it was."""
    _, _, findings = pulled(kind, server)
    assert findings.server_kind is not None
    assert server.startswith(findings.server_kind)
    assert findings.server_version is not None
    assert findings.server_version.startswith(server.rpartition("-")[2])
    assert findings.tools
    assert findings.warnings == []


@each_recording
def test_the_inventory_is_json(kind: str, server: str) -> None:
    """inventory.json can be read and is what a restore compares with; a bundle has its own list of refs."""
    artifacts, _, _ = pulled(kind, server)
    if "inventory.json" not in artifacts:
        assert "repo.bundle" not in artifacts or artifacts["repo.bundle"].startswith(b"# v2 git bundle\n")
        return
    assert isinstance(json.loads(artifacts["inventory.json"]), dict)


class Altered(CannedHost):
    """A host one of whose answers is not what was recorded."""

    def __init__(self, source: Source, server: str, what: str, answer: bytes) -> None:
        super().__init__(source, server)
        self._what, self._answer = what, answer

    def read(self, command: str, limit: int = 16 << 20) -> bytes:
        """The altered answer, or the recorded one."""
        recorded = super().read(command, limit)
        return self._answer if label(command) == self._what else recorded


def labels(kind: str, server: str) -> list[str]:
    """What a pull asks, in order, each question once."""
    return list(dict.fromkeys(map(label, pulled(kind, server)[1].sent)))


QUESTIONS = [(kind, server, what) for kind, server in RECORDED for what in labels(kind, server)]


@pytest.mark.parametrize("answer", [b"", b"Welcome!\n", b"\0\xff\n", b"a\tb\n", b"{}\n", b"[" * 50_000, b"null\n"])
@pytest.mark.parametrize(("kind", "server", "what"), QUESTIONS, ids=lambda part: str(part))
def test_a_senseless_answer_is_an_error_of_ours(kind: str, server: str, what: str, answer: bytes) -> None:
    """Whatever a host answers to one of the questions, the pull ends with an error that can be shown, not a crash."""
    if (what, answer) == ("accounts", b""):
        return  # a server without accounts but its own
    source = build(kind, EXAMPLES[kind].least)
    with pytest.raises(PullAgentError):
        consumed(source.artifacts(Altered(source, server, what, answer), Findings()))


@pytest.mark.parametrize(("kind", "server", "what"), QUESTIONS, ids=lambda part: str(part))
def test_a_banner_ahead_of_an_answer_is_an_error_of_ours(kind: str, server: str, what: str) -> None:
    """A login script that prints a line ahead of every answer."""
    source = build(kind, EXAMPLES[kind].least)
    recorded = CannedHost(source, server).read(next(c for c in source.commands() if label(c) == what))
    with pytest.raises(PullAgentError):
        consumed(source.artifacts(Altered(source, server, what, b"Last login: today\n" + recorded), Findings()))


@each_recording
def test_a_stream_cut_short_is_refused(kind: str, server: str) -> None:
    """The main artifact with its end missing, although the command ended well."""
    source = build(kind, EXAMPLES[kind].least)
    what = EXAMPLES[kind].main
    recorded = CannedHost(source, server).read(next(c for c in source.commands() if label(c) == what))
    for kept in (len(recorded) // 2, len(recorded) - 1, 0):
        # git itself reads what a repository sends, and finds it out
        with pytest.raises(SourceError if kind == "git" else ContentError):
            consumed(source.artifacts(Altered(source, server, what, recorded[:kept]), Findings()))


class Pull:
    """A store with one recorded source, pulled through the whole pipeline."""

    def __init__(self, directory: Path, kind: str, server: str, wire: str = "auto") -> None:
        path = directory / "hosts.toml"
        value = changed("store path", str(directory / "store"))
        value["hosts"] = {"h": {"user": "u", "wire": wire, "sources": {"s": {"kind": kind} | EXAMPLES[kind].least}}}
        path.write_text(document(value))
        self.config = load(path, KINDS)
        self.name = SourceName("h", "s")
        self.store = Store(self.config.store)
        source: Source = self.config.hosts["h"].sources["s"]
        self.host = CannedHost(source, server)

        def connect(_: Any) -> AbstractContextManager[Remote]:
            return self.host.opened()

        self.puller = Puller(self.config, connect=connect, clock=lambda: WHEN)


@pytest.mark.parametrize("wire", ["plain", "zstd"])
@each_recording
def test_a_pull_is_stored_and_opens_again(tmp_path: Path, kind: str, server: str, wire: str) -> None:
    """From the host's answers through compression, there or here, encryption and the store, and back to the same."""
    pull = Pull(tmp_path, kind, server, wire)
    report = pull.puller.run([pull.name])
    assert (report.exit_code, report.outcomes[0].error) == (0, None)
    (snapshot,) = pull.store.snapshots()
    assert (str(snapshot.ref), snapshot.state) == ("h/s@2026-11-23T010003Z", "good")
    expected, _, _ = pulled(kind, server)
    with Identity.read(IDENTITY_FILE) as identity:
        opened = OpenedSnapshot(snapshot, identity)
        for name, data in expected.items():
            assert opened.read(name) == data
    assert all(f"{name}.zst.age" in (snapshot.path / "SHA256SUMS").read_text() for name in expected)
    streams = build(kind, EXAMPLES[kind].least).streams()
    assert any("| zstd" in command for command in pull.host.sent) == (wire == "zstd" and bool(streams))


@pytest.mark.parametrize("wire", ["auto", "zstd"])
def test_a_compressor_that_fails_is_done_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wire: str) -> None:
    """Where it was our own choice the next attempt comes plain; where hosts.toml asks for it, it is tried again."""
    monkeypatch.setattr("pullagent.wire.remote.may_pay", lambda _: True)
    monkeypatch.setattr("pullagent.wire.remote.by_link", lambda *_: Choice(True, "it pays"))
    pull = Pull(tmp_path, "mysql", "mariadb-10.11", wire)
    monkeypatch.setattr(pull.puller, "_past", lambda _: Past(1 << 30, 1 << 28, 90.0))
    real = pull.host.open

    def failing(command: str, good: tuple[int, ...] = (0,)) -> CannedStream:
        return CannedStream(b"no frame") if "| zstd" in command else real(command, good)

    monkeypatch.setattr(pull.host, "open", failing)
    assert "not what zstd writes" in str(pull.puller.run([pull.name]).outcomes[0].error)
    again = pull.puller.run([pull.name]).outcomes[0]
    assert (again.outcome, again.packed) == ("stored" if wire == "auto" else "failed", False)
