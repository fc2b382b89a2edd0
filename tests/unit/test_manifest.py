"""manifest.json: written and read back, tolerant of what a newer agent adds, strict with everything else."""

import json
from datetime import datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pullagent import manifest as manifests
from pullagent.errors import StoreError
from pullagent.manifest import ArtifactEntry, Manifest, Server
from pullagent.model import Sealed
from tests.unit.cuts import safe_names

WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
FILE = safe_names
HASH = st.binary(min_size=32, max_size=32).map(bytes.hex)
SIZE = st.integers(0, 10**15)
EAST = timezone(timedelta(hours=3))
MOMENT = st.integers(0, 4 * 10**9).map(lambda seconds: datetime.fromtimestamp(seconds, EAST))
ENTRY = st.builds(
    ArtifactEntry, name=FILE, file=FILE, plain_bytes=SIZE, plain_sha256=HASH, stored_bytes=SIZE, stored_sha256=HASH
)
MANIFEST = st.builds(
    Manifest,
    id=WORDS,
    host=WORDS,
    source=WORDS,
    kind=WORDS,
    state=st.sampled_from(["good", "shrunk"]),
    taken=MOMENT,
    finished=MOMENT,
    agent_version=WORDS,
    tools=st.dictionaries(WORDS, WORDS, max_size=3),
    server=st.builds(Server, kind=st.none() | WORDS, version=st.none() | WORDS),
    recipients=st.lists(WORDS, max_size=3).map(tuple),
    warnings=st.lists(WORDS, max_size=3).map(tuple),
    artifacts=st.lists(ENTRY, min_size=1, max_size=3).map(tuple),
)
HEX = "0" * 64
ONE = {"name": "a", "file": "a.zst.age", "plain_bytes": 1, "plain_sha256": HEX, "stored_bytes": 2, "stored_sha256": HEX}
RIGHT: dict[str, Any] = {
    "format": 1,
    "id": "2026-11-23T010003Z",
    "host": "h",
    "source": "s",
    "kind": "mysql",
    "taken": "2026-11-23T01:00:03Z",
    "finished": "2026-11-23T01:00:04Z",
    "agent_version": "1",
    "recipients": ["age1x"],
    "artifacts": [ONE],
}


def parse(value: Any) -> Manifest:
    """What a manifest with this JSON means."""
    return manifests.parse(json.dumps(value).encode())


@given(manifest=MANIFEST)
def test_it_is_read_as_it_was_written(manifest: Manifest) -> None:
    """Nothing is lost on the way through JSON; it ends with a line end, and its times with Z."""
    raw = manifests.dump(manifest)
    assert manifests.parse(raw) == manifest
    assert raw.endswith(b"}\n")
    assert json.loads(raw)["taken"].endswith("Z")


def test_it_has_the_fields_of_the_design() -> None:
    """Other programs read these; a new one may come, none may go."""
    value = json.loads(manifests.dump(parse(RIGHT)))
    assert set(value) >= {
        "format", "id", "host", "source", "kind", "state", "taken", "finished", "agent_version", "tools", "server",
        "recipients", "warnings", "artifacts",
    }  # fmt: skip
    assert set(value["server"]) == {"kind", "version"}
    assert set(value["artifacts"][0]) == set(ONE)


def test_what_a_newer_agent_adds_is_passed_over() -> None:
    """Unknown keys at every level do not make a snapshot unreadable."""
    value = RIGHT | {"more": [1], "server": {"kind": "mysql", "edition": "x"}, "artifacts": [ONE | {"blocks": 7}]}
    assert parse(value).artifacts[0].name == "a"


def test_only_what_may_be_unknown_may_be_missing() -> None:
    """Each field without which a snapshot cannot be judged must be there."""
    for key in RIGHT:
        value = {k: v for k, v in RIGHT.items() if k != key}
        if key in ("format", "recipients"):
            parse(value)
        else:
            with pytest.raises(StoreError, match=key):
                parse(value)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("format", 2),
        ("format", "1"),
        ("state", "damaged"),
        ("taken", "2026-11-23T01:00:03"),
        ("taken", "yesterday"),
        ("finished", None),
        ("artifacts", None),
        ("artifacts", {}),
        ("artifacts", []),
        ("tools", ["age"]),
        ("recipients", "age1x"),
    ],
)
def test_a_wrong_value_is_refused(key: str, value: Any) -> None:
    """The message names the field."""
    with pytest.raises(StoreError, match=key):
        parse(RIGHT | {key: value})


@pytest.mark.parametrize("key", ["name", "file"])
@pytest.mark.parametrize(
    "value", ["", ".", "..", "../x", "a/b", "/etc/passwd", "a\\b", "a\0", "a\n", "-rf", ".hidden", "a b", "ä", 5]
)
def test_a_file_elsewhere_is_refused(key: str, value: Any) -> None:
    """A manifest cannot lead out of its own directory."""
    with pytest.raises(StoreError, match=f"artifacts.0.*{key}"):
        parse(RIGHT | {"artifacts": [ONE | {key: value}]})


@pytest.mark.parametrize(
    ("key", "value"),
    [("plain_bytes", -1), ("stored_bytes", 1.5), ("plain_sha256", "0" * 63), ("stored_sha256", "G" * 64)],
)
def test_sizes_and_hashes_have_their_form(key: str, value: Any) -> None:
    """No negative size, no hash of another length."""
    with pytest.raises(StoreError, match=key):
        parse(RIGHT | {"artifacts": [ONE | {key: value}]})


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"[]", b"null", b"5", b"\xff", b"\0" * 50, b"[" * 100_000, b'{"format": 1}']
)
def test_what_is_no_manifest_is_refused(raw: bytes) -> None:
    """Empty, cut short, not JSON, not UTF-8, nested without end: the error is ours."""
    with pytest.raises(StoreError, match=r"manifest\.json is not readable"):
        manifests.parse(raw)


@given(raw=st.binary(max_size=60))
def test_any_bytes_are_judged(raw: bytes) -> None:
    """Whatever lies there, StoreError and nothing else."""
    with pytest.raises(StoreError):
        manifests.parse(raw)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
)


@given(key=st.sampled_from(sorted(RIGHT)), value=_JSON)
def test_any_value_is_judged(key: str, value: Any) -> None:
    """Whatever stands in one field, it is read or refused as ours."""
    try:
        read = parse(RIGHT | {key: value})
    except StoreError:
        return
    assert manifests.parse(manifests.dump(read)) == read


def test_what_could_not_be_read_again_is_not_written() -> None:
    """A name is refused where an entry is made, a wrong type where the manifest is written."""
    with pytest.raises(ValueError, match="name: found"):
        msgspec.structs.replace(parse(RIGHT).artifacts[0], name="a b")
    with pytest.raises(msgspec.ValidationError, match="kind"):
        manifests.dump(msgspec.structs.replace(parse(RIGHT), kind=5))


def test_an_artifact_is_found_by_its_name() -> None:
    """And one that is not there is named together with those that are."""
    manifest = parse(RIGHT)
    assert manifest.artifact("a").stored_bytes == 2
    with pytest.raises(StoreError, match=r"holds no dump\.sql \(it holds a\)"):
        manifest.artifact("dump.sql")


def test_an_entry_is_made_of_what_was_sealed() -> None:
    """Every number is taken over."""
    entry = ArtifactEntry.of(Sealed("dump.sql", "dump.sql.zst.age", 10, HEX, 5, "1" * 64))
    assert (entry.name, entry.file) == ("dump.sql", "dump.sql.zst.age")
    assert (entry.plain_bytes, entry.plain_sha256, entry.stored_bytes, entry.stored_sha256) == (10, HEX, 5, "1" * 64)
