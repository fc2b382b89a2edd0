"""What every source kind is: a frozen dataclass of documented keys, with commands that a gate can list."""

import dataclasses
import subprocess
from pathlib import Path
from typing import Any, cast

import pytest

from pullagent.config import load
from pullagent.errors import UsageError
from pullagent.fields import schema
from pullagent.sources import KINDS
from pullagent.sources.base import RestoreOptions, Source
from tests.contract.kinds import EXAMPLES, build
from tests.unit.toml import changed, document
from tests.vectors import label

each_kind = pytest.mark.parametrize("kind", KINDS)
TABLES = [(kind, which) for kind in KINDS for which in ("least", "most")]
each_table = pytest.mark.parametrize(("kind", "which"), TABLES, ids=lambda part: part)


def example(kind: str, which: str) -> Source:
    """A source from one of its example tables."""
    return build(kind, getattr(EXAMPLES[kind], which))


def keys(kind: str) -> set[str]:
    """The keys of a kind."""
    return {field.name for field in dataclasses.fields(cast(Any, KINDS[kind]))}


def test_every_kind_has_an_example() -> None:
    """A new kind belongs into tests/contract/kinds.py, with answers of a real server."""
    assert set(EXAMPLES) == set(KINDS)
    assert all(EXAMPLES[kind].servers for kind in KINDS)


@each_kind
def test_it_is_registered_under_its_own_name(kind: str) -> None:
    """The registry's name, the class's and the one in hosts.toml are the same word."""
    assert KINDS[kind].kind == kind
    assert kind.isidentifier()


@each_kind
def test_it_is_a_frozen_dataclass(kind: str) -> None:
    """Equal tables make equal values, which cannot change and can be compared."""
    source = example(kind, "least")
    assert dataclasses.is_dataclass(KINDS[kind])
    assert source == example(kind, "least")
    assert hash(source) == hash(example(kind, "least"))
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(source, min(keys(kind)), None)


@each_kind
def test_its_keys_are_documented(kind: str) -> None:
    """Each has a description, which editors show and the reference is made from."""
    properties = schema(KINDS[kind])["properties"]
    assert {key for key in keys(kind) if not properties[key].get("description")} == set()
    assert set(EXAMPLES[kind].most) == keys(kind), "the example with all keys lacks some"


@each_kind
def test_it_refuses_an_unknown_key(kind: str) -> None:
    """As part of hosts.toml and on its own."""
    with pytest.raises(ValueError, match=r"unexpected|Extra|extra"):
        build(kind, EXAMPLES[kind].least | {"nonsense": 1})


@each_table
def test_hosts_toml_makes_it(tmp_path: Path, kind: str, which: str) -> None:
    """The example tables load from a whole hosts.toml."""
    path = tmp_path / "hosts.toml"
    path.write_text(document(changed("hosts h", {"user": "u", "sources": {"s": table(kind, which)}})))
    assert load(path, KINDS).hosts["h"].sources["s"] == example(kind, which)


def table(kind: str, which: str) -> dict[str, Any]:
    """An example table with its kind."""
    return {"kind": kind, **getattr(EXAMPLES[kind], which)}


@each_kind
def test_its_artifacts_have_the_names_of_the_design(kind: str) -> None:
    """Scripts and runbooks rely on these names."""
    assert sorted(KINDS[kind].artifact_names) == sorted(EXAMPLES[kind].artifacts)


@each_kind
def test_it_refuses_parts_that_it_does_not_have(kind: str) -> None:
    """An option of restore that chooses tables or files is for kinds that have them; the others never look at it."""
    chosen = {"tables": ("t",), "schema_only": True, "config_files": True, "paths": ("/etc",)}
    assert KINDS[kind].restore_takes <= set(chosen)
    RestoreOptions(**{name: chosen[name] for name in KINDS[kind].restore_takes}).refuse_unfit(KINDS[kind])  # type: ignore[arg-type]
    for name in chosen.keys() - KINDS[kind].restore_takes:
        with pytest.raises(UsageError, match=kind):
            RestoreOptions(**{name: chosen[name]}).refuse_unfit(KINDS[kind])  # type: ignore[arg-type]


@each_table
def test_its_commands_are_constants(kind: str, which: str) -> None:
    """Asked twice, or of another equal value, they are the same: the gate was made from them on another day."""
    source = example(kind, which)
    commands = source.commands()
    assert commands
    assert commands == source.commands() == example(kind, which).commands()
    assert len(set(commands)) == len(commands)


@each_table
def test_its_streams_are_commands(kind: str, which: str) -> None:
    """What may be compressed and slowed down is told apart from questions by the command itself."""
    source = example(kind, which)
    assert set(source.streams()) <= set(source.commands())


@each_table
def test_its_commands_say_what_they_are(kind: str, which: str) -> None:
    """The first line is a comment that names the purpose, for the host's log and for messages.

    Only git's own command has a form that a git-shell, which some servers have in place of a shell, must recognise.
    """
    for command in example(kind, which).commands():
        assert command.startswith("git-upload-pack '" if kind == "git" else "# pullagent: ")
        assert label(command)
        assert "\0" not in command


@each_table
@pytest.mark.parametrize("shell", [("sh", "-n", "-c"), ("dash", "-n", "-c"), ("bash", "-n", "-c")], ids=lambda s: s[0])
def test_its_commands_are_shell(kind: str, which: str, shell: tuple[str, ...]) -> None:
    """Every command parses in the shells that a host may have, whatever blanks and quotes its settings hold."""
    for command in example(kind, which).commands():
        done = subprocess.run([*shell, command], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, ""), command


@each_kind
def test_its_settings_are_quoted(tmp_path: Path, kind: str) -> None:
    """A setting with `$(…)`, quotes and blanks in it is text: run by a shell, no command does what stands in one."""
    table = {key: hostile(tmp_path, value) for key, value in EXAMPLES[kind].most.items()}
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("mariadb", "mariadb-dump", "influx", "influxd", "timeout"):
        (programs / name).write_text("#!/bin/sh\ncat >/dev/null; echo name\n")
    (programs / "id").write_text(f"#!/bin/sh\ntouch '{tmp_path}/ran'\n")
    for program in programs.iterdir():
        program.chmod(0o755)
    for command in build(kind, table).commands():
        subprocess.run(
            ["sh", "-c", command],
            env={"PATH": f"{programs}:/usr/bin:/bin"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=20,
        )
    assert not (tmp_path / "ran").exists()


def hostile(place: Path, value: Any) -> Any:
    """A path setting moved below `place`, where it exists as a directory; others as they are."""
    if isinstance(value, list):
        return [hostile(place, one) for one in value]
    if not isinstance(value, str) or not value.startswith("/"):
        return value
    path = place / f"{value.strip('/')} $(id) `id`".replace("/", "_")
    path.mkdir(exist_ok=True)
    return str(path)


@each_table
def test_its_runbook_names_every_file(kind: str, which: str) -> None:
    """RESTORE.txt speaks of each stored file that is to be loaded, and of the stock programs that do it."""
    source = example(kind, which)
    files = {name: f"{name}.zst.age" for name in source.artifact_names}
    text = source.recovery(files)
    not_loaded = {"inventory.json"} if kind == "mysql" else set()
    assert {name for name in files if files[name] not in text} <= not_loaded
    assert all(program in text for program in EXAMPLES[kind].programs)
    assert text.endswith("\n")
    # commands stand on lines of their own, whole, so that they can be pasted
    assert max(len(line) for line in text.splitlines() if not line.startswith("    ")) <= 120


def test_databases_with_blanks_and_dollars_reach_the_runbook_quoted() -> None:
    """What stands in the runbook can be pasted into a shell."""
    source = build("influxdb", {"databases": ["with blanks"]})
    text = source.recovery({name: f"{name}.zst.age" for name in source.artifact_names})
    for line in text.splitlines():
        if line.startswith("    "):
            assert subprocess.run(["sh", "-n", "-c", line], check=False).returncode == 0
    assert "'with blanks'" in text
