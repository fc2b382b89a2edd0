"""The command of a dump, run by the shells that are here, with a dump program that tells how it was started."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from pullagent.sources.mysql.commands import Commands
from tests.unit.test_wire_commands import each_shell

TELLS = """#!/bin/sh
case "$*" in *--version*) exit 0 ;; esac
echo "$# ${_STDBUF_O:-none}"
exit 3
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A directory with such a program, and with nothing else but shells."""
    program = tmp_path / "mariadb-dump"
    program.write_text(TELLS)
    program.chmod(0o755)
    (tmp_path / "sh").symlink_to("/bin/sh")
    return tmp_path


def dumped(shell: list[str], path: str) -> tuple[int, str, str]:
    """Status, output and standard error of a dump of two databases, one with a space in its name."""
    command = Commands(databases=("agama", "two words")).dump("--opt")
    program = shutil.which(shell[0]) or shell[0]
    done = subprocess.run(
        [program, *shell[1:], "-c", command], capture_output=True, text=True, check=False, env={"PATH": path}
    )
    return done.returncode, done.stdout, done.stderr


@each_shell
def test_the_dump_is_buffered(shell: list[str], path: Path) -> None:
    """In the size of a pipe; its arguments and its status stay its own."""
    assert dumped(shell, f"{path}:{os.environ['PATH']}") == (3, "4 65536\n", "")


@each_shell
def test_it_is_not_where_nothing_buffers(shell: list[str], path: Path) -> None:
    """A host without the program: the dump runs as it does by itself, and nothing is said."""
    assert dumped(shell, str(path)) == (3, "4 none\n", "")


def test_it_is_not_where_the_two_do_not_agree(path: Path) -> None:
    """A dump program for another architecture or C library: the loader would speak on its standard error."""
    program = path / "mariadb-dump"
    program.write_text(TELLS.replace("exit 0", 'echo "${_STDBUF_O:+ld.so: object cannot be preloaded}" >&2'))
    status, out, err = dumped(["bash"], f"{path}:{os.environ['PATH']}")
    assert (status, out, err) == (3, "4 none\n", "")
