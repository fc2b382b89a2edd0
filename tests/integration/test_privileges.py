"""Root's rights: kept no longer than needed, so that what root starts leaves nothing of root's in another's store."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import paramiko
import pytest

import pullagent
from tests.faults.mounts import needs_root
from tests.integration.agent import AGAMA, Agent, wait_for_file
from tests.integration.wrappers import HALF, wrap_dump
from tests.lab.keys import public_text, ssh_keypair
from tests.lab.processes import run
from tests.lab.production import ProductionHost
from tests.lab.typed import type_to

# an account of every Debian system that is not root's
OWNER = "backup"
AS_OWNER = ["setpriv", f"--reuid={OWNER}", f"--regid={OWNER}", "--clear-groups"]
SYSTEM_PYTHON = Path("/usr/bin/python3")
pytestmark = [needs_root]


@pytest.fixture
def owned(host: ProductionHost) -> Iterator[Agent]:
    """A backup server whose store belongs to another user, in a directory that this one can come to."""
    directory = Path(tempfile.mkdtemp(prefix="pullagent-"))
    directory.chmod(0o755)
    agent = Agent(directory / "backup", host)
    agent.directory.chmod(0o755)
    agent.python = str(interpreter(directory))
    agent.store.mkdir(mode=0o700)
    shutil.chown(agent.store, OWNER)
    # only root may read what logs in and what opens
    key = agent.directory / "key"
    shutil.copy(host.identity, key)
    key.chmod(0o600)
    agent.edit(str(host.identity), str(key))
    yield agent
    host.sshd.farm.reset()
    shutil.rmtree(directory)


def interpreter(directory: Path) -> Path:
    """A Python that the owner may read, with the packages of this one; skips where there is none."""
    packages = [Path(pullagent.__file__).parents[1], Path(paramiko.__file__).parents[1]]
    script = directory / "python"
    script.write_text(f'#!/bin/sh\nPYTHONPATH={":".join(map(str, packages))} exec {SYSTEM_PYTHON} "$@"\n')
    script.chmod(0o755)
    tried = subprocess.run(
        [*AS_OWNER, script, "-m", "pullagent", "--version"], capture_output=True, cwd="/", check=False
    )
    if tried.returncode:
        pytest.skip(f"{OWNER} cannot run the program from where it lies: {tried.stderr.decode()[-200:]}")
    return script


def owners(place: Path) -> set[str]:
    """The names of all users who own something there."""
    return {pwd.getpwuid(path.lstat().st_uid).pw_name for path in (place, *place.rglob("*"))}


def test_what_root_starts_belongs_to_the_stores_owner(owned: Agent, tmp_path: Path) -> None:
    """Runs, checks, copies and the ledger's lines leave in the store nothing but its owner's files."""
    owned.call("run").succeeded()
    assert owned.refs()
    for arguments in (
        ("list",),
        ("history",),
        ("show", f"{AGAMA}@latest"),
        ("verify", "--identity", owned.identity),
        ("pin", f"{AGAMA}@latest", "--reason", "before the move"),
        ("prune",),
        ("key", "check", "--identity", owned.identity),
        ("fetch", f"{AGAMA}@latest", "-o", tmp_path, "--decrypt", "--identity", owned.identity),
    ):
        done = owned.call(*arguments).succeeded()
        assert "warning" not in done.err, done
    assert owners(owned.store) == {OWNER}
    assert {entry["who"] for entry in owned.ledger()} == {"root"}
    assert {"run", "verify", "fetch"} <= {entry["event"] for entry in owned.ledger()}
    # what is fetched is the caller's, whose directory it lies in
    assert owners(tmp_path) == {"root"}
    assert next(tmp_path.rglob("dump.sql")).stat().st_mode & 0o777 == 0o600


def test_a_restore_by_root_is_in_the_ledger(owned: Agent) -> None:
    """A restore keeps the caller's rights, for his keys and his agent; its line in the ledger is the owner's."""
    owned.call("run", AGAMA).succeeded()
    owned.restore(f"{AGAMA}@latest").failed(1, "not empty")
    assert owned.ledger()[-1]["event"] == "restore"
    assert owners(owned.store) == {OWNER}


def test_while_it_pulls_no_process_is_roots(owned: Agent) -> None:
    """Once the transfer runs, the agent and the programs it starts have the owner's user and groups, and no others."""
    wrap_dump(owned, HALF)
    sign = owned.directory / "sign"
    process = owned.start("run", AGAMA)
    try:
        wait_for_file(sign)
        found = [Path(f"/proc/{pid}/status").read_text() for pid in (process.pid, *children(process.pid))]
    finally:
        process.terminate()
        process.communicate()
    entry = pwd.getpwnam(OWNER)
    assert len(found) >= 2, "no age program?"
    for status in found:
        fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        assert fields["Uid"].split() == [str(entry.pw_uid)] * 4
        assert fields["Gid"].split() == [str(entry.pw_gid)] * 4
        assert set(fields["Groups"].split()) <= set(map(str, os.getgrouplist(OWNER, entry.pw_gid)))
        assert int(fields["CapEff"], 16) == 0


def children(pid: int) -> list[int]:
    """The pids of a process's children."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [int(child) for task in tasks for child in (task / "children").read_text().split()]


def test_another_user_who_is_not_root_is_refused(owned: Agent) -> None:
    """Anybody else is told whose the store is."""
    shutil.chown(owned.store, "root")
    owned.store.chmod(0o755)
    readable = owned.directory / "key"
    shutil.chown(readable, OWNER)
    done = subprocess.run(
        [*AS_OWNER, *owned.argv("run", AGAMA)],
        env=owned.environment(),
        capture_output=True,
        text=True,
        cwd="/",
        timeout=60,
        check=False,
    )
    assert done.returncode == 1, done
    assert "belongs to root" in done.stderr


def test_an_identity_of_a_user_who_is_not_root(owned: Agent) -> None:
    """The owner himself opens his snapshots: age comes to the identity though nobody may look into the agent."""
    owned.call("run", AGAMA).succeeded()
    own = owned.directory / "own"
    own.mkdir()
    for path in (own, owned.identity):
        shutil.chown(path, OWNER)
    arguments = ("fetch", f"{AGAMA}@latest", "-o", own, "--decrypt", "--identity", owned.identity)
    argv = [*AS_OWNER, *owned.argv(*arguments)]
    done = subprocess.run(
        argv, env=owned.environment(), capture_output=True, text=True, cwd="/", timeout=60, check=False
    )
    assert done.returncode == 0, done
    assert next(own.rglob("dump.sql")).read_bytes().startswith((b"/*", b"-- "))
    assert owners(own) == {OWNER}


def test_a_passphrase_of_a_user_who_is_not_root(owned: Agent) -> None:
    """He is asked for the passphrase of his SSH key, and it opens, though nobody may look into the agent."""
    key = ssh_keypair(owned.directory / "own" / "key")
    owned.edit(f'"{owned.recipient}"', f'"{public_text(key)}"')
    owned.call("run", AGAMA).succeeded()
    run(["ssh-keygen", "-q", "-p", "-P", "", "-N", "a passphrase", "-f", key])
    for path in (key.parent, key):
        shutil.chown(path, OWNER)
    argv = [*AS_OWNER, *owned.argv("key", "check", "--identity", key)]
    done = type_to(argv, [("passphrase:", "a passphrase\n")], env=owned.environment(), cwd=Path("/"))
    assert done.code == 0, done


def test_no_memory_is_left_in_core_files(owned: Agent) -> None:
    """Neither the agent nor age leaves a core file, and no other process of its user may look into the agent."""
    wrap_dump(owned, HALF)
    process = owned.start("run", AGAMA)
    try:
        wait_for_file(owned.directory / "sign")
        found = [Path(f"/proc/{pid}/limits").read_text() for pid in (process.pid, *children(process.pid))]
        looked = subprocess.run(
            [
                *AS_OWNER,
                "cat",
                f"/proc/{process.pid}/environ",
            ],
            capture_output=True,
            check=False,
        )
        process.send_signal(11)
        process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
    for limits in found:
        line = next(line for line in limits.splitlines() if line.startswith("Max core file size"))
        assert line.split()[4:6] == ["0", "0"]
    assert looked.returncode != 0
    assert not looked.stdout
    assert not list(owned.directory.rglob("core*"))
