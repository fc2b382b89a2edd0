"""The first hosts.toml: whatever is asked for, what is written reads back as that."""

import tomllib
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from pullagent.config import parse
from pullagent.sources import KINDS
from pullagent.template import Plan, hosts_toml, with_store

RECIPIENT = "age1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq"
DIRECTORY = Path("/etc/pullagent")
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=30)
SOME = st.lists(TEXT | st.sampled_from(["mysql", "influxdb", "files", "/srv/files"]), min_size=1, max_size=3)
NAME = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,20}", fullmatch=True)


def plan(**changed: object) -> Plan:
    """A usual plan with some of it changed."""
    usual: dict[str, object] = {
        "store": Path("/srv/pullagent"),
        "recipients": (RECIPIENT,),
        "recipients_file": None,
        "identity_file": DIRECTORY / "id_ed25519",
        "known_hosts": DIRECTORY / "known_hosts",
        "host": "pavroto-2",
        "address": "pavroto-2",
        "port": 22,
        "user": "pullagent",
        "mysql": ("agama",),
        "influxdb": ("logs",),
    }
    return Plan(**(usual | changed))  # type: ignore[arg-type]


def test_the_usual_one() -> None:
    """It holds what the example of the project has, and nothing is left to a default that matters."""
    config = parse(DIRECTORY / "hosts.toml", hosts_toml(plan()).encode(), KINDS)
    assert [str(name) for name in config.source_names()] == ["pavroto-2/agama", "pavroto-2/logs"]
    assert config.recipients() == (RECIPIENT,)
    assert (config.run.attempts, config.run.retry_minutes) == (3, 20)
    assert (config.retention.days, config.retention.keep_at_least) == (14, 3)
    example = tomllib.loads((Path(__file__).parents[2] / "hosts.toml").read_text())
    written = tomllib.loads(hosts_toml(plan()))
    assert written.keys() == example.keys()
    assert written["ssh"] == example["ssh"]


@given(store=TEXT, file=TEXT, host=NAME, databases=SOME, paths=SOME, port=st.integers(1, 65535))
def test_whatever_is_asked_for_reads_back(
    store: str, file: str, host: str, databases: list[str], paths: list[str], port: int
) -> None:
    """Quotes, backslashes, newlines and dots in any value come back as they were."""
    asked = plan(
        store=Path("/") / store,
        recipients_file=Path("/") / file,
        host=host,
        port=port,
        mysql=tuple(databases),
        influxdb=tuple(databases),
        files=tuple(paths),
    )
    found = tomllib.loads(hosts_toml(asked))
    assert found["store"]["path"] == str(asked.store)
    assert found["encryption"]["recipients_file"] == str(asked.recipients_file)
    (table,) = found["hosts"].values()
    assert list(found["hosts"]) == [host]
    assert table.get("port", 22) == port
    assert {s["kind"]: s.get("databases", s.get("paths")) for s in table["sources"].values()} == {
        "mysql": databases,
        "influxdb": databases,
        "files": paths,
    }


def test_files_are_read_as_root() -> None:
    """By sudo, unless the account is root; the source is called after its one directory."""
    for user, expected in (("pullagent", {"sudo": True}), ("root", {})):
        text = hosts_toml(plan(user=user, mysql=(), influxdb=(), files=("/etc/",)))
        (host,) = tomllib.loads(text)["hosts"].values()
        assert host["sources"] == {"etc": {"kind": "files", "paths": ["/etc/"]} | expected}
        parse(DIRECTORY / "hosts.toml", text.encode(), KINDS)


@given(store=TEXT)
def test_the_store_can_be_moved(store: str) -> None:
    """Another path takes the place of the old one in [store], and nothing else changes."""
    before = hosts_toml(plan())
    after = tomllib.loads(with_store(before, Path("/") / store))
    assert after.pop("store") == {"path": str(Path("/") / store)}
    expected = tomllib.loads(before)
    expected.pop("store")
    assert after == expected


def test_a_path_of_another_table_is_left_alone() -> None:
    """Where [store] has no plain path, the text stays as it was."""
    text = '[store]\n"path" = "/a"\n[other]\npath = "/b"\n'
    assert with_store(text, Path("/c")) == text
