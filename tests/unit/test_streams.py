"""Standard output whose loss ends nothing."""

import errno
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import typer

from pullagent.cli import show, streams

MEGABYTE = "x" * 2**20


@contextmanager
def guarded_pipe(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """sys.stdout is a guarded pipe; its reading end."""
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as stream, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", stream)
        streams.guard()
        yield reading


def test_a_reader_that_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Writing goes on as if nothing had happened, and it is told once asked."""
    with guarded_pipe(monkeypatch) as reading:
        os.close(reading)
        for _ in range(3):
            print(MEGABYTE)
        lost = streams.lost(sys.stdout)
    assert isinstance(lost, BrokenPipeError)


def test_a_full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a full disk does not take is told once asked, with the system's reason."""
    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        streams.guard()
        print(MEGABYTE)
        lost = streams.lost(sys.stdout)
    assert lost is not None
    assert lost.errno == errno.ENOSPC


def test_a_slow_reader_of_a_pipe_that_does_not_block(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is dropped where somebody made the pipe non-blocking: writing waits."""
    found: list[int] = []

    def read() -> None:
        time.sleep(0.2)
        while sum(found) <= len(MEGABYTE) and (piece := os.read(reading, 2**16)):
            found.append(len(piece))

    reader = threading.Thread(target=read)
    with guarded_pipe(monkeypatch) as reading:
        os.set_blocking(sys.stdout.fileno(), False)
        reader.start()
        print(MEGABYTE)
        lost = streams.lost(sys.stdout)
    reader.join(10)
    os.close(reading)
    assert lost is None
    assert sum(found) == len(MEGABYTE) + 1


def test_what_cannot_be_shown_is_escaped(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A guarded stream keeps its encoding, and shows as escapes what that cannot."""
    with (tmp_path / "out").open("w", encoding="ascii") as file:
        monkeypatch.setattr(sys, "stdout", file)
        streams.guard()
        print("größe \udcff")
        assert streams.lost(sys.stdout) is None
    assert (tmp_path / "out").read_text() == "gr\\xf6\\xdfe \\udcff\n"


def test_a_reader_that_has_left_is_noticed_without_a_word(tmp_path: Path) -> None:
    """Of a pipe; a file has no reader to lose."""
    ours, theirs = os.pipe()
    with os.fdopen(theirs, "w") as pipe, (tmp_path / "file").open("w") as file:
        assert not streams.abandoned(pipe)
        os.close(ours)
        assert streams.abandoned(pipe)
        assert not streams.abandoned(file)


def test_a_list_ends_with_its_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    """While the snapshot is read, not only with the next line: a large file may lie between."""
    with guarded_pipe(monkeypatch) as reading:
        show._Reader().advanced("job", 1)
        print("a line")
        show._Reader().advanced("job", 1)
        assert os.read(reading, 100) == b"a line\n"
        # another file under its number: the reader is gone
        with Path(os.devnull).open("rb") as nothing:
            os.dup2(nothing.fileno(), reading)
        with pytest.raises(typer.Exit) as caught:
            show._Reader().advanced("job", 1)
    assert caught.value.exit_code == 0
