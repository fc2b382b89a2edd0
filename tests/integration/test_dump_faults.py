"""Faults of the database and of its dump program: each is told, publishes nothing, and harms nothing."""

import os
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.integration.agent import AGAMA, Agent, Done, wait_for_file
from tests.integration.wrappers import DUMPS, HALF, wrap_dump


def unwrap(agent: Agent) -> None:
    """The real programs again."""
    agent.host.sshd.farm.reset()


def during_dump(agent: Agent, sign: Path, act: Callable[[], None]) -> Done:
    """Start a run, do something to it in the middle of its dump, and wait for its end."""
    begun = time.monotonic()
    process = agent.start("run", AGAMA)
    try:
        wait_for_file(sign)
        act()
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    return Done(("run", AGAMA), process.returncode, out.decode(), err.decode(), time.monotonic() - begun)


def test_a_missing_dump_program(agent: Agent) -> None:
    """A host without mysqldump is named, with the package to install."""

    def hide() -> Done:
        for name in DUMPS:
            agent.host.sshd.hide(name)
        return agent.call("run", AGAMA)

    agent.fails(AGAMA, error="no mysqldump here", hint="apt-get install", call=hide)
    agent.succeeds_after(lambda: unwrap(agent), AGAMA)


def test_a_stopped_database(agent: Agent) -> None:
    """A database that is down is told with the command that shows its state."""
    agent.host.server.stop()
    agent.fails(AGAMA, error="2002", hint="systemctl status")
    agent.succeeds_after(agent.host.start, AGAMA)


def test_a_refused_account(agent: Agent) -> None:
    """An option file with a wrong password ends in the server's own words and a hint about the account."""
    option_file = agent.directory / "wrong.cnf"
    option_file.write_text("[client]\nuser=agama_app\npassword=wrong\n")
    agent.edit("socket = ", f'option_file = "{option_file}"\nsocket = ')
    agent.fails(AGAMA, error="1045", hint="dump account")
    agent.succeeds_after(agent.reset, AGAMA)


def test_an_account_that_sees_too_little(agent: Agent) -> None:
    """An account whose dump would silently lack routines is refused before the dump, with the GRANT to give it."""
    server = agent.host.server
    server.load("CREATE USER 'meek'@'localhost' IDENTIFIED BY 'm'; GRANT SELECT ON agama.* TO 'meek'@'localhost'")
    option_file = agent.directory / "meek.cnf"
    option_file.write_text("[client]\nuser=meek\npassword=m\n")
    agent.edit("socket = ", f'option_file = "{option_file}"\nsocket = ')
    try:
        done = agent.fails(AGAMA, error="meek@localhost", hint="GRANT")
        assert "TRIGGER" in done.err
    finally:
        server.load("DROP USER IF EXISTS 'meek'@'localhost'")


def test_a_database_that_is_not_there(agent: Agent) -> None:
    """A database that the server does not have is named."""
    agent.edit('databases = ["agama"]', 'databases = ["agama", "absent"]')
    agent.fails(AGAMA, error="'absent'", hint="databases")
    agent.succeeds_after(agent.reset, AGAMA)


def test_an_invalid_view(agent: Agent) -> None:
    """A view over a table that has gone, which would end every dump, is named before the dump."""
    server = agent.host.server
    server.load("CREATE TABLE gone (id INT); CREATE VIEW lame AS SELECT id FROM gone; DROP TABLE gone", "agama")
    try:
        agent.fails(AGAMA, error="agama.lame", hint="drop it")
    finally:
        server.load("DROP VIEW IF EXISTS agama.lame")


@pytest.mark.parametrize("commands", [True, False])
def test_a_connection_cut_in_mid_stream(agent: Agent, commands: bool) -> None:
    """A connection that is lost in the middle of a dump fails the run at once."""
    sign = wrap_dump(agent, HALF)

    def cut() -> None:
        assert agent.host.sshd.drop(commands) > 0

    call = partial(during_dump, agent, sign, cut)
    done = agent.fails(AGAMA, error="connection was lost", hint="run it again", call=call)
    assert done.seconds < 20
    agent.succeeds_after(lambda: unwrap(agent), AGAMA)


def test_a_dump_killed_in_mid_stream(agent: Agent) -> None:
    """A dump program killed by SIGKILL, as the kernel does when memory runs out, fails the run and says so."""
    sign = wrap_dump(agent, HALF)

    def kill() -> None:
        pid = int(sign.read_text())
        assert pid in agent.host.sshd.sessions()
        os.kill(pid, signal.SIGKILL)

    agent.fails(AGAMA, error="killed", hint="memory", call=partial(during_dump, agent, sign, kill))
    agent.succeeds_after(lambda: unwrap(agent), AGAMA)


def test_a_dump_with_an_error_and_the_marker(agent: Agent) -> None:
    """Status 2 and a message on stderr fail the run, although the dump ends with its completion line."""
    wrap_dump(agent, '{real} "$@"\necho "mysqldump: Got error: 1356: something" >&2\nexit 2\n')
    agent.fails(AGAMA, error="Got error: 1356", hint=" ")


def test_a_dump_that_complains_and_ends_well(agent: Agent) -> None:
    """A message on stderr that is no known warning fails the run even with status 0."""
    wrap_dump(agent, '{real} "$@"\necho "Error: \'Access denied\' when trying to dump tablespaces" >&2\n')
    agent.fails(AGAMA, error="Access denied", hint="host")


def test_a_harmless_warning_is_kept(agent: Agent) -> None:
    """A known warning on stderr does not fail the run, and is reported with it."""
    wrap_dump(agent, 'echo "mysqldump: [Warning] this is only a warning" >&2\nexec {real} "$@"\n')
    source = agent.call("run", AGAMA, "--json").succeeded().json["sources"][0]
    assert any("only a warning" in warning for warning in source["warnings"])


def test_a_slow_dump_is_stored_whole(agent: Agent) -> None:
    """A dump that arrives in small pieces with pauses is stored as one that comes at once."""
    wrap_dump(
        agent, '{real} "$@" | while IFS= read -r -N 5000 part || [ -n "$part" ]; do printf %s "$part"; sleep 0.05; done'
    )
    agent.call("run", AGAMA).succeeded()


def test_the_server_dies_in_mid_dump(agent: Agent) -> None:
    """A database server that is killed while it is dumped fails the run."""
    server = agent.host.server
    rows = "SELECT seq AS id, REPEAT('x', 200) AS t FROM seq_1_to_100000"
    server.load(f"CREATE TABLE big (id INT PRIMARY KEY, t TEXT) AS {rows}", "agama")
    # The reader waits, so that the dump program stands in the middle of the table.
    sign = wrap_dump(
        agent,
        '{real} "$@" | { head -c 100000; touch {sign}; while [ -e {sign} ]; do sleep 0.05; done; cat; }\n'
        'exit "${PIPESTATUS[0]}"\n',
    )

    def crash() -> None:
        server.kill()
        sign.unlink()

    agent.fails(AGAMA, error="2013", hint="went away", call=lambda: during_dump(agent, sign, crash))

    def repair() -> None:
        agent.host.start()
        unwrap(agent)
        server.load("DROP TABLE agama.big")

    agent.succeeds_after(repair, AGAMA)


def test_a_flood_of_complaints(agent: Agent) -> None:
    """A dump program that writes megabytes to stderr neither blocks the run nor fills the terminal."""
    wrap_dump(agent, '{real} "$@"\nyes "it went wrong" | head -c 30000000 >&2\nexit 2\n')
    done = agent.fails(AGAMA, error="it went wrong", hint=" ")
    assert len(done.err) < 20_000


def test_a_complaint_that_would_steer_the_terminal(agent: Agent) -> None:
    """Control characters in what a host says are shown, not obeyed."""
    wrap_dump(agent, "printf '\\033[2J\\033]0;title\\007 bad\\n' >&2; exit 2\n")
    done = agent.fails(AGAMA, error="bad", hint=" ")
    assert not any(character in done.err + done.out for character in "\x1b\x07\x9b")
