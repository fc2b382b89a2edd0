"""Shards that a server lists and a backup lacks: lost, unless the server says that they hold no point."""

import io
import json
import tarfile
from collections.abc import Iterator

import pytest

from pullagent.errors import ContentError, PullAgentError
from pullagent.model import Findings, StopSignal
from pullagent.sources.influxdb import InfluxDB
from tests.unit.archives import gnu_tar
from tests.vectors import ANSWERS, label
from tests.vectors.canned import CannedHost, CannedStream

SOURCE = InfluxDB(("logs",))
RECORDED = (ANSWERS / "influxdb-1.6" / "backup.tar").read_bytes()


class Lossy(CannedHost):
    """A host whose backup lacks some shards without a word; `answer` is what it says of those it is asked about."""

    def __init__(self, lost: set[int], answer: bytes) -> None:
        super().__init__(SOURCE, "influxdb-1.6")
        self.asked = b""
        self._lost, self._answer = lost, answer

    def open(self, command: str, good: tuple[int, ...] = (0,)) -> CannedStream:
        """The backup without the lost shards, in its manifest too."""
        recorded = super().open(command, good)
        return CannedStream(without(self._lost)) if label(command) == "backup" else recorded

    def send(self, command: str, chunks: Iterator[bytes], stop: StopSignal | None = None) -> bytes:
        """Which of the shards in question are empty."""
        self._expect(command)
        self.asked += b"".join(chunks)
        return self._answer


def without(lost: set[int]) -> bytes:
    """The recorded backup, less some shards, as influxd leaves them out: silently."""
    members = {}
    with tarfile.open(fileobj=io.BytesIO(RECORDED)) as archive:
        for info in archive.getmembers():
            content = archive.extractfile(info)
            if content is None or any(f".s{number}." in info.name for number in lost):
                continue
            members[info.name] = content.read()
    name = next(name for name in members if name.endswith(".manifest"))
    manifest = json.loads(members[name])
    manifest["files"] = [entry for entry in manifest["files"] if entry["shardID"] not in lost]
    members[name] = json.dumps(manifest).encode()
    return gnu_tar(members)


def pull(host: CannedHost) -> None:
    """All artifacts, each through its check."""
    for artifact in SOURCE.artifacts(host, Findings()):
        for chunk in artifact.stream:
            artifact.check.feed(chunk)
        artifact.check.finish()


def test_a_whole_backup_asks_for_nothing() -> None:
    """Where every listed shard is in the backup, the server is not asked about any."""
    host = Lossy(set(), b"")
    pull(host)
    assert host.asked == b""


@pytest.mark.parametrize("answer", [b"", b"4\n", b"3\n4\n"])
def test_a_shard_that_holds_points_is_lost(answer: bytes) -> None:
    """The backup lacks shards that hold points: refused, and they are named."""
    host = Lossy({3, 5}, answer)
    with pytest.raises(ContentError, match=r"lacks shards \[(3, )?5\]"):
        pull(host)
    assert host.asked == b"3\n5\n"


def test_a_shard_without_points_is_not_missed() -> None:
    """influxd leaves out shards that nothing was written to yet."""
    pull(Lossy({3, 5}, b"3\n5\n"))


@pytest.mark.parametrize("answer", [b"Welcome!\n3\n", b"\xff", b"3.5\n"])
def test_a_senseless_answer_is_an_error_of_ours(answer: bytes) -> None:
    """A login script that prints something ahead of the answer is no crash."""
    with pytest.raises(PullAgentError):
        pull(Lossy({3}, answer))
