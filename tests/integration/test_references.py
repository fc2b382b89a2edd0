"""References, and what `list`, `show`, `fetch` say to wrong ones."""

import stat
from pathlib import Path

import pytest

from tests.integration.agent import AGAMA, HOST, LOGS, Agent
from tests.lab.keys import age_identity


@pytest.mark.parametrize(
    ("ref", "hint"),
    [
        pytest.param(f"{AGAMA}@2001", "newest is", id="no such time"),
        pytest.param(f"{HOST}/absent@latest", LOGS, id="no such source"),
        pytest.param("absent/agama@latest", LOGS, id="no such host"),
        pytest.param(AGAMA, "HOST/SOURCE@ID", id="no @"),
        pytest.param(f"{AGAMA}@yesterday", "HOST/SOURCE@ID", id="not a time"),
        pytest.param("../../etc@latest", "HOST/SOURCE@ID", id="a path"),
        pytest.param(f"{AGAMA}@../../x", "HOST/SOURCE@ID", id="a path for an id"),
    ],
)
def test_a_reference_to_nothing(agent: Agent, ref: str, hint: str) -> None:
    """A reference that names no snapshot ends with 10, and the hint says what there is or how one looks."""
    agent.call("fetch", ref, "-o", "out").failed(10, ref.partition("@")[0], hint)
    assert not (agent.home / "out").exists()


@pytest.mark.parametrize("verb", [["show"], ["restore", "--to", HOST, "--identity", "-", "--yes"]])
def test_every_verb_refuses_them_alike(agent: Agent, verb: list[str]) -> None:
    """`show` and `restore` refuse a reference to nothing in the same way."""
    agent.call(verb[0], f"{AGAMA}@2001", *verb[1:]).failed(10, f"no snapshot {AGAMA}@2001", "newest is")


def test_a_prefix(agent: Agent) -> None:
    """A prefix that fits one snapshot means it; one that fits several is refused with 10, and they are named."""
    agent.call("run", AGAMA).succeeded()
    refs = [ref for ref in agent.refs() if ref.startswith(AGAMA)]
    assert len(refs) > 1
    year = refs[0].partition("@")[2][:4]
    done = agent.call("show", f"{AGAMA}@{year}").failed(10, f"means {len(refs)} snapshots", refs[-1])
    assert refs[-1] in done.err
    assert agent.call("show", refs[0][:-1], "--json").succeeded().json["ref"] == refs[0]
    assert agent.call("show", f"{AGAMA}@latest", "--json").succeeded().json["ref"] == refs[-1]


def test_list_of_nothing(agent: Agent) -> None:
    """`list` of a source that hosts.toml does not have is refused with 2; in JSON an empty store is an empty list."""
    agent.call("list", f"{HOST}/absent").failed(2, "absent", "")
    agent.edit(f'path = "{agent.store}"', f'path = "{agent.directory / "empty"}"')
    done = agent.call("list").succeeded()
    assert "no snapshots" in done.err
    assert "pullagent run" in done.err
    assert agent.call("list", "--json").succeeded().json["snapshots"] == []


def test_fetch_does_not_overwrite(agent: Agent, tmp_path: Path) -> None:
    """`fetch` into a directory that is there already ends with 2, and leaves it as it was."""
    ref = agent.latest(AGAMA)
    there = tmp_path / ref.replace("/", "_").replace("@", "_")
    there.mkdir()
    agent.call("fetch", ref, "-o", tmp_path).failed(2, "exists already", "-o DIR")
    assert list(tmp_path.rglob("*")) == [there]


def test_a_file_where_a_directory_belongs(agent: Agent, tmp_path: Path) -> None:
    """`fetch`, `gate` and `status` told to write where they cannot say what to name instead, and write nothing."""
    (tmp_path / "file").touch()
    agent.call("fetch", agent.latest(AGAMA), "-o", tmp_path / "file").failed(2, "not a directory", "-o DIR")
    agent.call("gate", HOST, "-o", tmp_path / "file").failed(2, "not a directory", "-o DIR")
    agent.call("status", "--prometheus", tmp_path).failed(3, "a directory", "name a file")
    agent.call("status", "--prometheus", tmp_path / "absent" / "x").failed(3, "not there", "name a file")
    assert [*tmp_path.iterdir()] == [tmp_path / "file"]


def test_an_option_before_the_verb_is_no_verdict(agent: Agent) -> None:
    """A wrong command line of `status` ends with 3 even where the mistake stands before the verb; else with 2."""
    agent.call("--bogus", "status").failed(3, "--bogus", "pullagent --help")
    agent.call("--bogus", "list").failed(2, "--bogus", "pullagent --help")


def test_fetch_needs_both_decrypt_and_identity(agent: Agent, tmp_path: Path) -> None:
    """--decrypt without --identity, or the other way round, ends with 2 and writes nothing."""
    ref = agent.latest(AGAMA)
    for options in (["--decrypt"], ["--identity", agent.identity]):
        agent.call("fetch", ref, "-o", tmp_path / "out", *options).failed(2, "belong together", "--decrypt")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", [AGAMA, LOGS])
def test_fetch_with_a_wrong_identity(agent: Agent, tmp_path: Path, name: str) -> None:
    """Decrypting with an identity of nobody ends with 12, names the way to the recipients, and leaves nothing."""
    age_identity(tmp_path / "wrong.txt")
    done = agent.call(
        "fetch", f"{name}@latest", "-o", tmp_path / "out", "--decrypt", "--identity", tmp_path / "wrong.txt"
    )
    done.failed(12, "does not open", f"pullagent show {agent.latest(name)} ")
    assert list((tmp_path / "out").rglob("*")) == []


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("", id="empty"),
        pytest.param("not a key\n", id="no key"),
        pytest.param("AGE-SECRET-KEY-1QQQ\n", id="half a key"),
        pytest.param("# only a comment\n", id="only a comment"),
        pytest.param("-----BEGIN OPENSSH PRIVATE KEY-----\nx\n", id="half an SSH key"),
    ],
)
def test_fetch_with_no_identity_at_all(agent: Agent, tmp_path: Path, content: str) -> None:
    """A file that holds no identity ends with 2, is told as such, is not repeated, and leaves nothing."""
    bad = tmp_path / "bad.txt"
    bad.write_text(content)
    done = agent.call("fetch", f"{AGAMA}@latest", "-o", tmp_path / "out", "--decrypt", "--identity", bad)
    done.failed(2, "identity", "AGE-SECRET-KEY-1…")
    assert "QQQ" not in done.err
    assert list((tmp_path / "out").rglob("*")) == []


def test_a_missing_identity_file(agent: Agent, tmp_path: Path) -> None:
    """An identity file that does not exist ends with 2 and is named."""
    absent = tmp_path / "absent.txt"
    agent.call("fetch", f"{AGAMA}@latest", "-o", tmp_path, "--decrypt", "--identity", absent).failed(2, str(absent))


def test_fetched_files_are_private(agent: Agent, tmp_path: Path) -> None:
    """What `fetch` writes only its caller can read, whatever the umask."""
    agent.call("fetch", agent.latest(AGAMA), "-o", tmp_path).succeeded()
    written = list(tmp_path.rglob("*"))
    assert written
    assert {stat.S_IMODE(path.stat().st_mode) & 0o077 for path in written} == {0}


def test_the_identity_from_standard_input(agent: Agent, tmp_path: Path) -> None:
    """`--identity -` reads the identity from standard input."""
    done = agent.call(
        "fetch",
        f"{AGAMA}@latest",
        *("-o", tmp_path, "--decrypt", "--identity", "-"),
        stdin=agent.identity.read_bytes(),
    ).succeeded()
    assert (Path(done.out.strip()) / "dump.sql").read_bytes().endswith(b"\n")
