"""A stored file that has changed: nothing of it is used."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.agent import AGAMA, LOGS, Agent


def flip(path: Path, place: int) -> None:
    """Change one bit of one byte; `place` below 0 counts from the end."""
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    rewrite(path, bytes(data))


def rewrite(path: Path, data: bytes) -> None:
    """Replace a read-only file's content."""
    path.chmod(0o600)
    path.write_bytes(data)
    path.chmod(0o400)


def first_file(snapshot: Path) -> Path:
    """The largest stored file of a snapshot."""
    return max(snapshot.glob("*.zst.age"), key=lambda path: path.stat().st_size)


@pytest.fixture
def victim(agent: Agent) -> Iterator[Callable[[str], str]]:
    """Gives the reference of a source's newest of at least two snapshots, which is whole again after the test."""
    healing: list[tuple[Path, Path]] = []

    def choose(name: str) -> str:
        while sum(ref.startswith(f"{name}@") for ref in agent.refs()) < 2:
            agent.call("run", name).succeeded()
        ref = agent.latest(name)
        copy = agent.directory / "whole"
        shutil.copytree(agent.path(ref), copy)
        healing.append((copy, agent.path(ref)))
        return ref

    yield choose
    for copy, place in healing:
        shutil.rmtree(place)
        copy.rename(place)


@pytest.mark.parametrize(("name", "place"), [(AGAMA, 0), (AGAMA, -1), (LOGS, 5_000)])
def test_one_changed_byte(agent: Agent, tmp_path: Path, victim: Callable[[str], str], name: str, place: int) -> None:
    """With one changed byte, wherever it is, `fetch` and `restore` end with 4, and restore does not even connect."""
    ref = victim(name)
    flip(first_file(agent.path(ref)), place)
    agent.call("fetch", ref, "-o", tmp_path / "out").failed(4, "differs", "take another")
    opening = ("--decrypt", "--identity", agent.identity)
    agent.call("fetch", ref, "-o", tmp_path / "out", *opening).failed(4, "differs", "take another")
    assert [path for path in tmp_path.rglob("*") if path.name != "out"] == []
    before = agent.host.sshd.log.stat().st_size
    agent.restore(ref).failed(4, "differs", "take another")
    assert agent.host.sshd.log.stat().st_size == before


@pytest.mark.parametrize(
    "harm",
    [
        pytest.param(lambda s: rewrite(first_file(s), first_file(s).read_bytes()[:-1]), id="a file is shorter"),
        pytest.param(lambda s: rewrite(first_file(s), first_file(s).read_bytes() + b"x"), id="a file is longer"),
        pytest.param(lambda s: first_file(s).unlink(), id="a file is missing"),
        pytest.param(lambda s: (s / "manifest.json").unlink(), id="the manifest is missing"),
        pytest.param(lambda s: rewrite(s / "manifest.json", b'{"format": 1'), id="the manifest is cut"),
        pytest.param(lambda s: rewrite(s / "manifest.json", b""), id="the manifest is empty"),
        pytest.param(lambda s: change_manifest(s, "id", "2001-01-01T000000Z"), id="the manifest is another's"),
        pytest.param(lambda s: change_manifest(s, "format", 2), id="the manifest is of a later format"),
    ],
)
def test_a_snapshot_that_is_not_whole(
    agent: Agent, tmp_path: Path, victim: Callable[[str], str], harm: Callable[[Path], None]
) -> None:
    """A damaged snapshot is listed as such, is passed over by `@latest`, and ends `fetch` and `restore` with 4."""
    ref = victim(AGAMA)
    harm(agent.path(ref))
    states = {s["ref"]: s["state"] for s in agent.call("list", AGAMA, "--json").succeeded().json["snapshots"]}
    assert states[ref] == "damaged"
    latest = agent.call("show", f"{AGAMA}@latest", "--json").succeeded().json["ref"]
    assert states[latest] == "good"
    agent.call("fetch", ref, "-o", tmp_path / "out").failed(4, "damaged", "list")
    agent.restore(ref).failed(4, "damaged", "list")
    assert not (tmp_path / "out").exists()


def test_a_run_repairs_nothing(agent: Agent, victim: Callable[[str], str]) -> None:
    """A run beside a damaged snapshot stores a new one, and leaves the damaged one as evidence."""
    flip(first_file(agent.path(victim(AGAMA))), 100)
    agent.succeeds_after(lambda: None, AGAMA)


def change_manifest(snapshot: Path, key: str, value: object) -> None:
    """Give a field of manifest.json another value."""
    manifest = json.loads((snapshot / "manifest.json").read_text())
    rewrite(snapshot / "manifest.json", json.dumps(manifest | {key: value}).encode())
