"""`init`: by options, by questions on a real terminal, and from what lies in a store; up to a first real run."""

import re
import shutil
import tomllib
from pathlib import Path

import pytest

from tests.integration.agent import AGAMA, HOST, Agent
from tests.lab.keys import age_identity
from tests.lab.processes import run
from tests.lab.typed import Answer

SECRET = "AGE-SECRET-KEY-1"


@pytest.fixture
def fresh(lone_agent: Agent) -> Agent:
    """A backup server on which nothing is set up yet."""
    lone_agent.config_file = lone_agent.directory / "etc" / "hosts.toml"
    lone_agent.known_hosts = lone_agent.config_file.with_name("known_hosts")
    return lone_agent


def options(agent: Agent) -> list[str | Path]:
    """Options that say all of it, for the agent's own host."""
    at = ["--host", HOST, "--address", f"127.0.0.1:{agent.host.sshd.port}", "--user", agent.host.sshd.user]
    return ["init", "--store", agent.store, "--recipient", agent.recipient, *at, "--mysql", "agama"]


def mode(path: Path) -> int:
    """Who may do what with a file."""
    return path.stat().st_mode & 0o7777


def trust_and_run(agent: Agent) -> None:
    """What the screen says comes next: pin the key, let the new pull key in, run."""
    shown = run(["ssh-keygen", "-l", "-f", "-"], data=agent.host.sshd.host_public_key.encode()).split()[1].decode()
    if not agent.known_hosts.exists():
        agent.call("trust", HOST, "--fingerprint", shown).succeeded()
    agent.call("config", "check").succeeded()
    public = agent.config_file.with_name("id_ed25519.pub").read_text()
    before = agent.host.sshd.authorized_keys.read_text()
    agent.host.sshd.authorized_keys.write_text(before + public)
    try:
        agent.call("run", AGAMA).succeeded()
    finally:
        agent.host.sshd.authorized_keys.write_text(before)


def test_by_options_up_to_the_first_run(fresh: Agent) -> None:
    """Without a terminal the options say it all; what is written passes its check, and pulls a real database."""
    done = fresh.without_terminal(*options(fresh)).succeeded()
    directory = fresh.config_file.parent
    assert sorted(p.name for p in directory.iterdir()) == ["hosts.toml", "id_ed25519", "id_ed25519.pub"]
    assert [mode(directory), mode(fresh.config_file), mode(directory / "id_ed25519")] == [0o750, 0o640, 0o600]
    assert re.findall(r"^  pullagent --config \S+ (.*)$", done.out, re.M) == [
        f"trust {HOST}",
        f"gate {HOST} -o gate-{HOST}",
        "doctor",
    ]
    text = fresh.config_file.read_text()
    assert tomllib.loads(text)["run"] == {"attempts": 3, "retry_minutes": 20}
    assert "# One bad minute" in text
    fresh.edit('databases = ["agama"]', f'databases = ["agama"]\nsocket = "{fresh.host.server.socket}"')
    trust_and_run(fresh)


def test_options_that_are_missing_are_named(fresh: Agent) -> None:
    """Without a terminal nothing is asked, and nothing is written."""
    done = fresh.without_terminal("init", "--recipient", fresh.recipient)
    done.failed(2, "--host, --mysql, --influxdb or --files", "pullagent init --recipient")
    assert not fresh.config_file.parent.exists()


def test_nothing_is_overwritten(fresh: Agent) -> None:
    """A hosts.toml, even a link to nowhere, is refused; a pull key is taken as it is, unless it has a passphrase."""
    fresh.without_terminal(*options(fresh)).succeeded()
    key = fresh.config_file.with_name("id_ed25519")
    kept, text = key.read_bytes(), fresh.config_file.read_bytes()
    fresh.without_terminal(*options(fresh)).failed(2, "exists already", "config check")
    assert fresh.config_file.read_bytes() == text
    fresh.config_file.unlink()
    fresh.config_file.symlink_to("nowhere")
    fresh.without_terminal(*options(fresh)).failed(2, "exists already", "config check")
    fresh.config_file.unlink()
    assert "kept: " in fresh.without_terminal(*options(fresh)).succeeded().out
    assert key.read_bytes() == kept
    fresh.config_file.unlink()
    run(["ssh-keygen", "-q", "-p", "-P", "", "-N", "a passphrase", "-f", key])
    fresh.without_terminal(*options(fresh)).failed(2, "has a passphrase", "move it away")
    key.write_text("not a key\n")
    fresh.without_terminal(*options(fresh)).failed(2, "no SSH private key", "move it away")
    assert not fresh.config_file.exists()


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        (["--host", "a/b"], "cannot be a host's name"),
        (["--address", "a b"], "not an address"),
        (["--address", "root@a"], "names an account"),
        (["--user", "a b"], "user"),
        (["--mysql", "a\tb;"], "databases"),
        (["--files", "etc"], "absolute path"),
        (["--files", "/"], "below /"),
        (["--recipient", "age1nonsense"], "recipient"),
        (["--recipients-file", "/absent"], "/absent"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_written(fresh: Agent, wrong: list[str], error: str) -> None:
    """Neither hosts.toml nor a key comes of a wrong value."""
    done = fresh.without_terminal(*options(fresh), *wrong)
    assert done.code in (1, 2), done
    assert error in done.err
    assert "internal error" not in done.err
    assert not fresh.config_file.parent.exists()


def test_a_secret_key_is_not_repeated(fresh: Agent) -> None:
    """A secret in place of a recipient is refused without being shown, given or typed."""
    secret = fresh.identity.read_text().split()[-1]
    assert secret.startswith(SECRET)
    done = fresh.without_terminal("init", "--recipient", secret, "--host", HOST, "--mysql", "agama")
    done.failed(2, "secret key (not shown)", "age-keygen -y")
    assert secret[16:] not in done.err + done.out
    typed = fresh.type("init", answers=[("lie?", "\n"), ("Public key", f"{secret}\n"), ("Public key", "\x03")])
    assert typed.code == 130
    # once, as the terminal's echo of what was typed
    assert typed.screen.count(secret) == 1
    assert not fresh.config_file.parent.exists()


def test_by_questions(fresh: Agent) -> None:
    """Every question is asked again until its answer can be used; empty ones take what is offered."""
    age_identity(fresh.directory / "second.txt")
    second = run(["age-keygen", "-y", fresh.directory / "second.txt"]).decode().strip()
    answers = [
        ("Where shall snapshots lie? [/srv/pullagent]", f"{fresh.store}\n"),
        ("Public key", "\n"),
        ("Public key", "nonsense\n"),
        ("Public key", f"{fresh.recipient}\n"),
        ("A further one", f"{second}\n"),
        ("A further one", "\n"),
        ("Name of the production host", "a/b\n"),
        ("Name of the production host", f"{HOST}\n"),
        (f"Its address, HOST[:PORT] [{HOST}]", f"127.0.0.1:{fresh.host.sshd.port}\n"),
        ("Account to log in as there [pullagent]", "\n"),
        ("MySQL or MariaDB", "\n"),
        ("InfluxDB", "\n"),
        ("Directories and files", "\n"),
        ("MySQL or MariaDB", "agama shop\n"),
        ("InfluxDB", "logs\n"),
        ("Directories and files", "/etc\n"),
    ]
    done = fresh.type("init", answers=answers)
    assert done.code == 0, done
    assert "At least one database, directory or file is needed." in done.screen
    written = tomllib.loads(fresh.config_file.read_text())
    assert written["encryption"] == {"recipients": [fresh.recipient, second]}
    assert written["hosts"] == {
        HOST: {
            "address": "127.0.0.1",
            "port": fresh.host.sshd.port,
            "user": "pullagent",
            "sources": {
                "mysql": {"kind": "mysql", "databases": ["agama", "shop"]},
                "logs": {"kind": "influxdb", "databases": ["logs"]},
                "etc": {"kind": "files", "paths": ["/etc"], "sudo": True},
            },
        }
    }


def test_the_end_of_input_writes_nothing(fresh: Agent) -> None:
    """Ctrl-D at a question ends it."""
    done = fresh.type("init", answers=[("lie?", "\n"), ("Public key", "\x04")])
    assert done.code == 2
    assert "nothing was written" in done.screen
    assert not fresh.config_file.parent.exists()


def test_a_new_identity_is_seen_off(fresh: Agent) -> None:
    """The identity is made privately, and init waits until it, and any copy in the usual places, is gone."""
    identity, copy = fresh.directory / "new.txt", fresh.home / "copy.txt"
    seen: list[tuple[int, str]] = []

    def copied() -> str:
        seen.append((mode(identity), run(["age-keygen", "-y", identity]).decode().strip()))
        identity.rename(copy)
        return "\n"

    def removed() -> str:
        copy.unlink()
        return "\n"

    question = "Press Enter when that is done, or type later:"
    answers: list[tuple[str, Answer]] = [
        (question, "\n"),
        (f"It still lies here: {identity}", ""),
        (question, copied),
        (f"It still lies here: {copy}", ""),
        (question, removed),
    ]
    done = fresh.type("init", "--new-identity", identity, "--host", HOST, "--mysql", "agama", answers=answers)
    assert done.code == 0, done
    assert f"shred -u {identity}" in done.screen
    assert "The identity is gone from here." in done.screen
    assert SECRET not in done.screen
    recipients = tomllib.loads(fresh.config_file.read_text())["encryption"]["recipients"]
    assert seen == [(0o600, recipients[0])]


def test_a_new_identity_that_stays_is_warned_of(fresh: Agent) -> None:
    """Whoever puts it off, or cannot be asked, is told that it still lies there; a file is never overwritten."""
    identity = fresh.directory / "new.txt"
    asked = ("init", "--new-identity", identity, "--host", HOST, "--mysql", "agama")
    warning = f"warning: the identity that opens the backups still lies here: {identity}"
    done = fresh.type(*asked, answers=[("or type later:", "later\n")])
    assert done.code == 0, done
    assert warning in done.screen
    shutil.rmtree(fresh.config_file.parent)
    before = identity.read_bytes()
    fresh.without_terminal(*asked).failed(2, f"{identity} exists already", "--recipient $(age-keygen -y")
    assert identity.read_bytes() == before
    identity.unlink()
    assert warning in fresh.without_terminal(*asked).succeeded().err


def test_from_the_store(fresh: Agent) -> None:
    """A rebuilt backup server: hosts.toml and pins come back from the store, with a new pull key, and runs go on."""
    fresh.without_terminal(*options(fresh)).succeeded()
    fresh.edit('databases = ["agama"]', f'databases = ["agama"]\nsocket = "{fresh.host.server.socket}"')
    trust_and_run(fresh)
    text, pins = fresh.config_file.read_text(), fresh.known_hosts.read_bytes()
    old_key = fresh.config_file.with_name("id_ed25519").read_bytes()
    shutil.rmtree(fresh.config_file.parent)
    moved = fresh.directory / "disk of the old server"
    fresh.store.rename(moved)
    done = fresh.without_terminal("init", "--from-store", moved).succeeded()
    assert fresh.config_file.read_text() == text.replace(f'"{fresh.store}"', f'"{moved}"')
    assert fresh.known_hosts.read_bytes() == pins
    assert fresh.config_file.with_name("id_ed25519").read_bytes() != old_key
    assert f"gate {HOST} -o gate-{HOST}" in done.out
    assert "trust" not in done.out
    fresh.store = moved
    trust_and_run(fresh)
    assert len(fresh.refs()) == 2
    fresh.without_terminal("init", "--from-store", moved).failed(2, "exists already")


def test_from_a_store_with_a_recipients_file(fresh: Agent) -> None:
    """A recipients_file that burned with the server is written anew, as the newest snapshot tells it."""
    file = fresh.directory / "recipients.txt"
    file.write_text(f"{fresh.recipient}\n")
    asked = [o if o != fresh.recipient else file for o in options(fresh)]
    asked[asked.index("--recipient")] = "--recipients-file"
    fresh.without_terminal(*asked).succeeded()
    fresh.edit('databases = ["agama"]', f'databases = ["agama"]\nsocket = "{fresh.host.server.socket}"')
    trust_and_run(fresh)
    shutil.rmtree(fresh.config_file.parent)
    file.unlink()
    done = fresh.without_terminal("init", "--from-store", fresh.store).succeeded()
    assert f"written: {file}  (the public keys)" in done.out
    assert file.read_text() == f"{fresh.recipient}\n"


def test_from_what_is_no_store(fresh: Agent, tmp_path: Path) -> None:
    """A directory without the copies is refused; so are further options beside it."""
    fresh.without_terminal("init", "--from-store", tmp_path).failed(2, "holds no copy of hosts.toml", "ledger.jsonl")
    done = fresh.without_terminal("init", "--from-store", tmp_path, "--host", HOST)
    done.failed(2, "--from-store takes everything", "leave the other options out")
    assert not fresh.config_file.parent.exists()
