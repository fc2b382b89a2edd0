"""`key check`, and identities that are under a passphrase or held by a plugin: real age, real terminals."""

import shutil
from pathlib import Path

import pytest

from tests.integration.agent import AGAMA, LOGS, Agent, changes
from tests.lab import plugin
from tests.lab.keys import age_identity, public_text, ssh_keypair
from tests.lab.processes import plain_environment, run
from tests.lab.typed import type_to

PASSPHRASE = "correct horse"
UNDER_PASSPHRASE = "The identity has a passphrase"


@pytest.fixture
def locked(agent: Agent, tmp_path: Path) -> Path:
    """The agent's identity under a passphrase, as `age -p` writes it."""
    path = tmp_path / "locked.age"
    answers = [("autogenerate", f"{PASSPHRASE}\n"), ("Confirm", f"{PASSPHRASE}\n")]
    argv: list[str | Path] = ["age", "-p", "-o", path, agent.identity]
    assert type_to(argv, answers, env=plain_environment(tmp_path), cwd=tmp_path).code == 0
    return path


def recipients_too(agent: Agent, recipient: str) -> None:
    """Pull once more, for a further recipient."""
    agent.edit(f'"{agent.recipient}"', f'"{agent.recipient}", "{recipient}"')


def lines_since(agent: Agent, count: int) -> list[dict[str, object]]:
    """What the ledger tells of key checks after its first `count` lines."""
    return [line for line in agent.ledger()[count:] if line["event"] == "key check"]


def test_an_identity_opens_the_newest_snapshots(agent: Agent, tmp_path: Path) -> None:
    """Each source's newest snapshot opens; that stands in the ledger with the public key, and nothing is written."""
    agent.call("run").succeeded()
    before, count = agent.tree(), len(agent.ledger())
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    done = agent.call(
        "key", "check", "--identity", agent.identity, "--json", env={"TMPDIR": str(temporary)}
    ).succeeded()
    newest = [agent.latest(AGAMA), agent.latest(LOGS)]
    assert done.json["recipient"] == agent.recipient
    assert [(c["ref"], f"{c['host']}/{c['source']}", c["opens"]) for c in done.json["checks"]] == [
        (newest[0], AGAMA, True),
        (newest[1], LOGS, True),
    ]
    lines = lines_since(agent, count)
    assert [(f"{e['host']}/{e['source']}", e["ref"], e["ok"], e["exit_code"], e["detail"]) for e in lines] == [
        (AGAMA, newest[0], True, 0, {"recipient": agent.recipient}),
        (LOGS, newest[1], True, 0, {"recipient": agent.recipient}),
    ]
    assert changes(before, agent.tree()) == {}
    assert [*temporary.iterdir(), *agent.home.glob("*.txt")] == []


def test_an_identity_from_standard_input(agent: Agent) -> None:
    """`-` reads it from a pipe; the table names each snapshot, and what it opens."""
    done = agent.call("key", "check", "--identity", "-", stdin=agent.identity.read_bytes()).succeeded()
    assert [line.split() for line in done.out.splitlines()[1:3]] == [
        [agent.latest(AGAMA), "yes"],
        [agent.latest(LOGS), "yes"],
    ]
    assert agent.recipient in done.out


def test_a_wrong_identity_opens_nothing(agent: Agent, tmp_path: Path) -> None:
    """Exit code 12, for each source in the ledger too."""
    stranger, count = tmp_path / "stranger.txt", len(agent.ledger())
    recipient = age_identity(stranger)
    done = agent.call("key", "check", "--identity", stranger)
    done.failed(12, "does not open", f"pullagent show {agent.latest(AGAMA)}")
    assert [line.split()[-1] for line in done.out.splitlines()[1:3]] == ["NO", "NO"]
    assert [(e["ok"], e["exit_code"], e["detail"]) for e in lines_since(agent, count)] == [
        (False, 12, {"recipient": recipient})
    ] * 2


def test_one_source_that_does_not_open(agent: Agent, tmp_path: Path) -> None:
    """One snapshot sealed for somebody else is enough for 12, and is named."""
    stranger = tmp_path / "stranger.txt"
    agent.edit(agent.recipient, age_identity(stranger))
    agent.call("run", LOGS).succeeded()
    done = agent.call("key", "check", "--identity", agent.identity, "--json")
    assert done.code == 12
    assert [c["opens"] for c in done.json["checks"]] == [True, False]
    agent.edit(run(["age-keygen", "-y", stranger]).decode().strip(), agent.recipient)
    agent.call("run", LOGS).succeeded()
    agent.call("key", "check", "--identity", agent.identity).succeeded()


def test_nothing_is_proven_where_nothing_is_stored(lone_agent: Agent) -> None:
    """An empty store: exit code 10, and no line that would pass for a proof."""
    done = lone_agent.call("key", "check", "--identity", lone_agent.identity, "--json")
    assert done.code == 10
    assert [c["opens"] for c in done.json["checks"]] == [None, None]
    assert not (lone_agent.store / "ledger.jsonl").exists()
    lone_agent.call("key", "check", "--identity", lone_agent.identity).failed(10, "nothing is stored", "pullagent run")


def test_what_is_no_identity(agent: Agent, tmp_path: Path) -> None:
    """A file without a key, one that is too long, and a sealed artifact: the command line is wrong."""
    for name, content in (("text", b"hello\n"), ("long", bytes(2 << 20))):
        (tmp_path / name).write_bytes(content)
        agent.call("key", "check", "--identity", tmp_path / name).failed(2, "identity", "AGE-SECRET-KEY-1")
    sealed = agent.path(agent.latest(AGAMA)) / "grants.sql.zst.age"
    done = agent.type("key", "check", "--identity", sealed, answers=[])
    assert done.code == 2
    assert "no identity that can be read" in done.screen


def test_a_passphrase_is_asked_for_once(agent: Agent, locked: Path) -> None:
    """An identity under a passphrase opens all sources after one question; its file stays as it was."""
    before, count = locked.read_bytes(), len(agent.ledger())
    done = agent.type("key", "check", "--identity", locked, answers=[("Enter passphrase", f"{PASSPHRASE}\n")])
    assert done.code == 0, done
    assert done.screen.count("Enter passphrase") == 1
    assert UNDER_PASSPHRASE in done.screen
    assert PASSPHRASE not in done.screen
    assert [e["detail"] for e in lines_since(agent, count)] == [{"recipient": agent.recipient}] * 2
    assert locked.read_bytes() == before


def test_a_passphrase_while_the_identity_comes_through_a_pipe(agent: Agent, locked: Path) -> None:
    """Standard input is the identity; the question still reaches the terminal."""
    answers = [("Enter passphrase", f"{PASSPHRASE}\n")]
    done = agent.type("key", "check", "--identity", "-", answers=answers, stdin=locked.read_bytes())
    assert done.code == 0, done


def test_a_wrong_passphrase(agent: Agent, locked: Path) -> None:
    """It opens nothing: 12, and no line in the ledger, for no snapshot was tried."""
    count = len(agent.ledger())
    done = agent.type("key", "check", "--identity", locked, answers=[("Enter passphrase", "wrong\n")])
    assert done.code == 12
    assert "error: the passphrase does not open the identity" in done.screen
    assert lines_since(agent, count) == []


def test_a_stop_at_the_question_leaves_the_terminal_as_it_was(agent: Agent, locked: Path) -> None:
    """Ctrl-C while age asks, with the echo off: 130, and the echo is back."""
    done = agent.type("key", "check", "--identity", locked, answers=[("Enter passphrase", "\x03")])
    assert done.code == 130
    assert done.echo


def test_a_passphrase_without_a_terminal(agent: Agent, locked: Path) -> None:
    """Where nobody can be asked it says so at once, and does not hang."""
    done = agent.without_terminal("key", "check", "--identity", locked)
    done.failed(2, "no terminal", "ssh -t")
    assert done.seconds < 10


def test_a_fetch_asks_once(agent: Agent, locked: Path, tmp_path: Path) -> None:
    """A snapshot has several files: one question opens them all."""
    answers = [("Enter passphrase", f"{PASSPHRASE}\n")]
    asked = ("fetch", f"{AGAMA}@latest", "-o", tmp_path / "out", "--decrypt", "--identity", locked)
    done = agent.type(*asked, answers=answers)
    assert done.code == 0, done
    assert done.screen.count("Enter passphrase") == 1
    assert list((tmp_path / "out").glob("*/dump.sql"))


@pytest.mark.parametrize("passphrase", ["", PASSPHRASE])
def test_an_ssh_key_opens_it(agent: Agent, tmp_path: Path, passphrase: str) -> None:
    """An SSH key, also under a passphrase, which is asked for once; its file stays as it was."""
    key, count = ssh_keypair(tmp_path / "key"), len(agent.ledger())
    recipients_too(agent, public_text(key))
    agent.call("run").succeeded()
    if passphrase:
        run(["ssh-keygen", "-q", "-p", "-P", "", "-N", passphrase, "-f", key])
    before = key.read_bytes()
    answers = [("passphrase:", f"{passphrase}\n")] if passphrase else []
    done = agent.type("key", "check", "--identity", key, answers=answers)
    assert done.code == 0, done
    assert [e["detail"] for e in lines_since(agent, count)] == [{"recipient": public_text(key)}] * 2
    assert key.read_bytes() == before


def test_an_ssh_keys_wrong_passphrase(agent: Agent, tmp_path: Path) -> None:
    """The same error as for age's own."""
    key = ssh_keypair(tmp_path / "key")
    run(["ssh-keygen", "-q", "-p", "-P", "", "-N", PASSPHRASE, "-f", key])
    done = agent.type("key", "check", "--identity", key, answers=[("passphrase:", "wrong\n")])
    assert done.code == 12
    assert "error: the passphrase does not open the identity" in done.screen
    agent.without_terminal("key", "check", "--identity", key).failed(2, "no terminal", "ssh -t")


def test_an_age_plugin_opens_it(agent: Agent, tmp_path: Path) -> None:
    """A plugin seals and opens, and asks for its PIN on the terminal: once for each source. Its key stays unknown."""
    recipient, identity = plugin.install(tmp_path / "bin")
    path = {"PATH": f"{tmp_path / 'bin'}:{agent.environment()['PATH']}"}
    recipients_too(agent, recipient)
    agent.call("run", env=path).succeeded()
    file, count = tmp_path / "token.txt", len(agent.ledger())
    file.write_text(f"{identity}\n")
    answers = [("PIN of the test token", f"{plugin.PIN}\n")] * 2
    done = agent.type("key", "check", "--identity", file, answers=answers, env=path)
    assert done.code == 0, done
    assert [(e["ok"], e["detail"]) for e in lines_since(agent, count)] == [(True, {"recipient": None})] * 2
    shutil.rmtree(tmp_path / "bin")
    done = agent.type("key", "check", "--identity", file, answers=[])
    assert done.code == 1
    assert "age-plugin-test" in done.screen


def test_an_age_plugin_restores_nothing_unasked(agent: Agent, tmp_path: Path) -> None:
    """While a plugin asks during a fetch, no bars are drawn over its question."""
    recipient, identity = plugin.install(tmp_path / "bin")
    path = {"PATH": f"{tmp_path / 'bin'}:{agent.environment()['PATH']}"}
    recipients_too(agent, recipient)
    agent.call("run", LOGS, env=path).succeeded()
    file = tmp_path / "token.txt"
    file.write_text(f"{identity}\n")
    asked = ("fetch", f"{LOGS}@latest", "-o", tmp_path / "out", "--decrypt", "--identity", file)
    files = sorted(agent.path(agent.latest(LOGS)).glob("*.age"))
    done = agent.type(*asked, answers=[("PIN of the test token", f"{plugin.PIN}\n")] * len(files), env=path)
    assert done.code == 0, done
    assert "checking" not in done.screen
    assert list((tmp_path / "out").glob("*/backup.tar"))
