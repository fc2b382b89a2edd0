"""hosts.toml that is right: what it means, and what is taken where nothing is said."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pullagent.config import Config, check_files, load
from pullagent.errors import ConfigError
from pullagent.model import Address, SourceName
from pullagent.sources import KINDS
from tests.unit.cuts import safe_names
from tests.unit.sealing import RECIPIENT, SSH_RECIPIENT
from tests.unit.toml import RIGHT, changed, loaded

EXAMPLE = Path(__file__).parents[2] / "hosts.toml"


def test_the_example_is_right() -> None:
    """The hosts.toml that comes with the program loads, and means this infrastructure."""
    config = load(EXAMPLE, KINDS)
    assert [str(name) for name in config.source_names()] == [
        "pavroto-2/agama",
        "pavroto-2/logs",
        "pavroto-2/etc",
        "pavroto-1/ansible",
        "pavroto-1/etc",
    ]
    assert (config.retention.days, config.objectives.rpo_hours, config.objectives.rto_minutes) == (14, 24, 60)
    assert config.store == Path("/srv/pullagent")


def test_what_is_not_said_has_its_default(tmp_path: Path) -> None:
    """The shortest hosts.toml: a store, a recipient, a host with a user and sources."""
    config = loaded(tmp_path, RIGHT)
    assert (config.retention.days, config.retention.keep_at_least, config.compression.level) == (14, 3, 3)
    assert (config.objectives.rpo_hours, config.objectives.rto_minutes) == (24, 60)
    assert (config.ssh.connect_timeout_s, config.ssh.stall_s, config.ssh.total_s) == (10, 300, 43200)
    assert config.identity_file == Path("/etc/pullagent/id_ed25519")
    assert config.known_hosts == Path("/etc/pullagent/known_hosts")
    host = config.hosts["pavroto-2"]
    assert (host.address, host.port, host.user, host.gateway) == ("pavroto-2", 22, "pullagent", None)
    assert host.identity_file == config.identity_file


def test_the_text_is_kept_as_it_was_read(tmp_path: Path) -> None:
    """The store keeps a copy of hosts.toml: byte for byte."""
    config = loaded(tmp_path, RIGHT)
    assert config.text == (tmp_path / "hosts.toml").read_bytes()


def test_relative_paths_are_relative_to_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever directory the program is started in, a relative path begins beside hosts.toml."""
    (tmp_path / "keys").write_text(f"{RECIPIENT}\n")
    value = changed("store path", "backups") | {"encryption": {"recipients_file": "keys"}}
    value["ssh"] = {"identity_file": "id", "known_hosts": "known"}
    value["hosts"]["pavroto-2"]["identity_file"] = "other"
    loaded(tmp_path, value)
    monkeypatch.chdir(tmp_path.parent)
    config = load(Path(tmp_path.name) / "hosts.toml", KINDS)
    assert config.store == tmp_path / "backups"
    assert (config.identity_file, config.known_hosts) == (tmp_path / "id", tmp_path / "known")
    assert config.hosts["pavroto-2"].identity_file == tmp_path / "other"
    assert config.recipients() == (RECIPIENT,)


def test_recipients_come_from_both_places_once(tmp_path: Path) -> None:
    """Those in hosts.toml, then those of the file, without comments, blank lines and repetitions."""
    (tmp_path / "keys").write_text(f"# ours\n\n{RECIPIENT}\n  {SSH_RECIPIENT} comment\r\n")
    value = changed("encryption recipients_file", "keys")
    assert loaded(tmp_path, value).recipients() == (RECIPIENT, f"{SSH_RECIPIENT} comment")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("jump", Address("jump")),
        ("ops@jump:2222", Address("jump", 2222, "ops")),
        ("[2001:db8::1]:22", Address("2001:db8::1", 22)),
        ("pavroto-1", Address("10.0.0.1", 2200, "backup")),
    ],
)
def test_a_gateway_is_an_address_or_a_host(tmp_path: Path, text: str, expected: Address) -> None:
    """The name of another host stands for that host's address, port and user."""
    value = changed("hosts pavroto-1", {"user": "backup", "address": "10.0.0.1", "port": 2200})
    value["hosts"]["pavroto-2"]["gateway"] = text
    assert loaded(tmp_path, value).hosts["pavroto-2"].gateway == expected


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """Two hosts, one of which shares the beginning of its name with the other's source."""
    return loaded(tmp_path, changed("hosts agama", {"user": "x", "sources": {"db": RIGHT_SOURCE}}))


RIGHT_SOURCE = {"kind": "mysql", "databases": ["other"]}


@pytest.mark.parametrize(
    ("targets", "names"),
    [
        ([], ["pavroto-2/agama", "pavroto-2/logs", "agama/db"]),
        (["pavroto-2"], ["pavroto-2/agama", "pavroto-2/logs"]),
        (["agama"], ["agama/db"]),
        (["pavroto-2/logs", "pavroto-2"], ["pavroto-2/logs", "pavroto-2/agama"]),
        (["pavroto-2/logs", "pavroto-2/logs"], ["pavroto-2/logs"]),
    ],
)
def test_targets_select_sources(config: Config, targets: list[str], names: list[str]) -> None:
    """HOST means all its sources, HOST/SOURCE one; each source once, in the order asked for."""
    assert [str(n) for n in config.select(targets)] == names
    assert all(isinstance(n, SourceName) for n in config.select(targets))


@pytest.mark.parametrize("target", ["pavroto-3", "pavroto-2/agam", "logs", "", "/", "pavroto-2/"])
def test_an_unknown_target_is_refused(config: Config, target: str) -> None:
    """A typing error must not pull something else, or nothing: the nearest name is offered."""
    with pytest.raises(ConfigError, match="no host or source") as caught:
        config.select(["pavroto-2", target])
    assert "pavroto-2" in caught.value.hint


def test_files_that_are_named_must_exist(tmp_path: Path) -> None:
    """`config check` looks at the key, the pinned hosts and the recipients, with what makes each."""
    value = deepcopy(RIGHT) | {"ssh": {"identity_file": "id", "known_hosts": "known"}}
    config = loaded(tmp_path, value)
    with pytest.raises(ConfigError, match="identity_file") as caught:
        check_files(config)
    assert "ssh-keygen" in caught.value.hint
    (tmp_path / "id").touch()
    with pytest.raises(ConfigError, match="known_hosts") as caught:
        check_files(config)
    assert "pullagent trust pavroto-2" in caught.value.hint
    (tmp_path / "known").touch()
    check_files(config)
    config = loaded(tmp_path, value | {"notify": {"ping_url_file": "ping", "message_urls_file": "urls"}})
    (tmp_path / "ping").touch()
    with pytest.raises(ConfigError, match="message_urls_file"):
        check_files(config)
    (tmp_path / "urls").touch()
    check_files(config)


@given(names=st.lists(safe_names, min_size=1, max_size=4, unique=True))
@settings(max_examples=40)
def test_any_safe_name_is_accepted(tmp_path: Path, names: list[str]) -> None:
    """Hosts and sources may have any name that is safe as a directory, in any order, which is kept."""
    hosts: dict[str, Any] = {}
    for number, name in enumerate(n for n in names if n not in ("hosts.toml", "known_hosts", "ledger.jsonl")):
        sources = {name: {"kind": "mysql", "databases": [f"d{number}"]}}
        hosts[name] = {"user": "u", "sources": sources}
    if hosts:
        config = loaded(tmp_path, changed("hosts", hosts))
        assert [(n.host, n.source) for n in config.source_names()] == [(name, name) for name in hosts]


def test_everything_can_be_said(tmp_path: Path) -> None:
    """Each key that a table has is accepted, with numbers as integers or with a point where that makes sense."""
    value: dict[str, Any] = json.loads(json.dumps(RIGHT)) | {
        "compression": {"level": 9},
        "retention": {"days": 1, "keep_at_least": 1},
        "objectives": {"rpo_hours": 0.5, "rto_minutes": 90},
        "ssh": {"identity_file": "a", "known_hosts": "b", "connect_timeout_s": 3, "stall_s": 1.5, "total_s": 60},
    }
    value["hosts"]["pavroto-2"] |= {"address": "10.1.2.3", "port": 65535, "gateway": "jump", "identity_file": "c"}
    config = loaded(tmp_path, value)
    assert (config.compression.level, config.objectives.rpo_hours, config.ssh.stall_s) == (9, 0.5, 1.5)
