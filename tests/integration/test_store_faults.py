"""Faults of the backup server itself: a full disk, no age, an unwritable store."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.integration.agent import AGAMA, Agent, is_root
from tests.lab.processes import run
from tests.lab.production import ProductionHost


@pytest.fixture
def small_store(lone_agent: Agent) -> Iterator[Agent]:
    """A backup server whose store is a file system of 4 MB, with one snapshot in it."""
    lone_agent.store.mkdir(mode=0o700)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m,mode=0700", "none", lone_agent.store], check=False, capture_output=True
    )
    if mounted.returncode != 0:
        pytest.skip(f"this machine lets root mount no tmpfs: {mounted.stderr.decode().strip()}")
    lone_agent.call("run").succeeded()
    yield lone_agent
    run(["umount", "--lazy", lone_agent.store])


@pytest.mark.skipif(not is_root(), reason="only root can mount the small file system that is filled here")
def test_a_full_disk(small_store: Agent, host: ProductionHost) -> None:
    """A disk that fills up while a snapshot is sealed fails the run; with space again the next one succeeds."""
    filler = small_store.store / "filler"
    with filler.open("wb") as file:
        # Three pages are left: enough to begin, too few for the dump.
        file.write(bytes(shutil.disk_usage(small_store.store).free - 3 * os.sysconf("SC_PAGE_SIZE")))
    small_store.fails(AGAMA, error="No space left", hint="df -h")
    filler.unlink()
    small_store.succeeds_after(lambda: None, AGAMA)


@pytest.mark.skipif(not is_root(), reason="only root can mount the small file system that is filled here")
def test_a_disk_full_to_the_last_byte(small_store: Agent, host: ProductionHost) -> None:
    """With no free byte at all the run fails in the same words, and leaves nothing behind."""
    filler = small_store.store / "filler"
    with filler.open("wb") as file:
        file.write(bytes(shutil.disk_usage(small_store.store).free))
    small_store.fails(AGAMA, error="No space left", hint="df -h")
    filler.unlink()
    small_store.succeeds_after(lambda: None, AGAMA)


def test_no_age_program(agent: Agent, tmp_path: Path) -> None:
    """Without the age program nothing is pulled, and the package is named."""
    call = partial(agent.call, "run", AGAMA, env={"PATH": str(tmp_path)})
    agent.fails(AGAMA, error="age program is not installed", hint="apt-get install age", call=call)


@pytest.mark.parametrize(
    ("script", "error"),
    [
        pytest.param("head -c 100", "age", id="its output is no age file"),
        pytest.param('{age} "$@" | head -c -1', "age", id="its output is cut"),
        pytest.param('{age} "$@"; exit 3', "status 3", id="it ends with an error"),
        pytest.param("exec >&-; exec sleep 1", "age", id="it writes nothing"),
        pytest.param("kill -KILL $$", "signal 9", id="it is killed"),
    ],
)
def test_an_age_program_that_lies_or_fails(agent: Agent, tmp_path: Path, script: str, error: str) -> None:
    """What age writes is published only if it ended well and wrote as much as its format takes."""
    tool = tmp_path / "age"
    # The check of the recipients before a run is answered well; the fault comes with the first artifact.
    lines = [
        '#!/bin/bash\ncase "$*" in *--version*) exec {age} "$@" ;; esac',
        'read -r -N 1 first || exec {age} "$@"',
        '{ printf %s "$first"; cat; } | { {script}; }\nexit "${PIPESTATUS[1]}"\n',
    ]
    tool.write_text("\n".join(lines).replace("{script}", script).replace("{age}", str(shutil.which("age"))))
    tool.chmod(0o755)
    lying = {"PATH": f"{tmp_path}:{agent.environment()['PATH']}"}
    agent.fails(AGAMA, error=error, call=partial(agent.call, "run", AGAMA, env=lying))


def test_a_bad_recipient(agent: Agent) -> None:
    """A recipient that age refuses ends the run before anything is pulled."""
    before = agent.host.sshd.log.stat().st_size
    agent.edit(agent.recipient, agent.recipient[:-1] + ("q" if agent.recipient[-1] != "q" else "p"))
    agent.fails(AGAMA, error="recipient")
    assert agent.host.sshd.log.stat().st_size == before


def test_a_secret_key_for_a_recipient(agent: Agent) -> None:
    """A secret key in place of a recipient is refused, and not repeated."""
    secret = next(line for line in agent.identity.read_text().splitlines() if line.startswith("AGE-SECRET"))
    agent.edit(agent.recipient, secret)
    done = agent.call("run").failed(2, "secret key", "")
    assert secret not in done.err + done.out
    assert secret[20:40] not in done.err + done.out


def test_a_store_that_is_a_file(agent: Agent) -> None:
    """A store path that is no directory is told by its name."""
    wrong = agent.directory / "wrong"
    wrong.write_text("")
    agent.edit(f'path = "{agent.store}"', f'path = "{wrong}"')
    agent.call("run").failed(1, str(wrong))


@pytest.mark.skipif(is_root(), reason="root may write everywhere")
def test_a_store_that_is_not_writable(agent: Agent) -> None:
    """A store that the account may not write is told by its name."""
    closed = agent.directory / "closed"
    closed.mkdir(mode=0o500)
    agent.edit(f'path = "{agent.store}"', f'path = "{closed}"')
    agent.call("run").failed(1, str(closed), "who owns it")


def test_foreign_things_in_the_store_are_left_alone(agent: Agent) -> None:
    """Files and directories that are no snapshots are neither listed nor touched."""
    foreign = agent.store / "pavroto-2" / "agama" / "2026-01-01-by-hand"
    foreign.mkdir()
    (foreign / "note").write_text("mine")
    (agent.store / "lost+found").mkdir()
    count = len(agent.call("list", "--json").succeeded().json["snapshots"])
    assert count == len(agent.refs()) - 1
    agent.call("run", AGAMA).succeeded()
    assert (foreign / "note").read_text() == "mine"
    shutil.rmtree(foreign)
    (agent.store / "lost+found").rmdir()


def test_a_directory_where_the_snapshot_belongs(agent: Agent) -> None:
    """An empty directory with a snapshot's name is not replaced, and listed as damaged; nothing is pruned by it."""
    squatter = agent.store / "pavroto-2" / "agama" / "2020-01-01T000000Z"
    squatter.mkdir(mode=0o700)
    try:
        listed = agent.call("list", AGAMA, "--json").succeeded().json["snapshots"]
        assert {s["id"]: s["state"] for s in listed}["2020-01-01T000000Z"] == "damaged"
        done = agent.call("run", AGAMA)
        assert (done.code, "2020-01-01T000000Z cannot be read" in done.err) == (5, True), done
        assert agent.call("list", f"{AGAMA}", "--json").json["snapshots"][0]["state"] == "good"
        assert squatter.is_dir()
    finally:
        squatter.rmdir()


def test_a_store_that_is_not_mounted(agent: Agent) -> None:
    """Every verb that works on it says so, none is green, and nothing is written below the mount point."""
    agent.call("run").succeeded()
    aside = agent.store.rename(agent.store.with_name("unmounted"))
    agent.store.mkdir(mode=0o700)
    try:
        verbs = {("run",): 1, ("verify",): 1, ("list",): 1, ("prune", "--dry-run"): 1, ("status",): 3, ("history",): 1}
        for argv, code in verbs.items():
            agent.call(*argv).failed(code, "empty, but was in use: is its disk mounted?", f"mount {agent.store}")
        assert "UNKNOWN" in agent.call("status", "--nagios").out
        assert "is its disk mounted?" in agent.call("doctor").out
        assert list(agent.store.iterdir()) == []
    finally:
        agent.store.rmdir()
        aside.rename(agent.store)
    agent.call("verify").succeeded()
