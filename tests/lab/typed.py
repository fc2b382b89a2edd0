"""Runs a program on a terminal of its own, and types."""

import fcntl
import os
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.lab.errors import LabError

# what is typed, or what does something first and then says it
Answer = str | Callable[[], str]
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class Typed:
    """How it ended, all that stood on the screen (but its colours), and whether the terminal echoes afterwards."""

    code: int
    screen: str
    echo: bool


def type_to(
    argv: Sequence[str | Path],
    answers: Sequence[tuple[str, Answer]],
    *,
    env: Mapping[str, str],
    cwd: Path,
    stdin: bytes | None = None,
    stdout: Path | None = None,
    columns: int = 80,
    seconds: float = 60,
) -> Typed:
    """Run `argv` with a terminal as its controlling one; type each answer (with its own line end) after its prompt.

    With `stdin` its standard input is a pipe that holds this; with `stdout` its standard output goes to that file.
    LabError when it does not end, or ends before every prompt has come.
    """
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    out = stdout.open("wb") if stdout else None
    process = subprocess.Popen(
        [str(a) for a in argv],
        stdin=theirs if stdin is None else subprocess.PIPE,
        stdout=out or theirs,
        stderr=theirs,
        env={"TERM": "xterm", **env},
        cwd=cwd,
        start_new_session=True,
        preexec_fn=lambda: _take_terminal(theirs),
    )
    try:
        if process.stdin is not None:
            process.stdin.write(stdin or b"")
            process.stdin.close()
        screen = _converse(process, ours, list(answers), seconds)
        echo = bool(termios.tcgetattr(theirs)[3] & termios.ECHO)
        return Typed(process.wait(), screen, echo)
    finally:
        process.kill()
        process.wait()
        os.close(ours)
        os.close(theirs)
        if out is not None:
            out.close()


def _take_terminal(descriptor: int) -> None:
    fcntl.ioctl(descriptor, termios.TIOCSCTTY, 0)


def _converse(
    process: "subprocess.Popen[bytes]", terminal: int, answers: list[tuple[str, Answer]], seconds: float
) -> str:
    screen, seen, deadline = b"", 0, time.monotonic() + seconds
    while True:
        ended = process.poll() is not None
        while select.select([terminal], [], [], 0.05)[0]:
            screen += os.read(terminal, 4096)
        if answers and (place := screen.find(answers[0][0].encode(), seen)) >= 0:
            seen = place + len(answers[0][0].encode())
            # what is typed before a program has switched off the echo would stand on the screen
            time.sleep(0.15)
            _, answer = answers.pop(0)
            os.write(terminal, (answer if isinstance(answer, str) else answer()).encode())
        elif ended:
            break
        elif time.monotonic() > deadline:
            raise LabError(f"waited {seconds:g} s for {answers[:1] or 'its end'}; on the screen:\n{screen.decode()}")
    if answers:
        raise LabError(f"it ended before {answers[0][0]!r} was asked; on the screen:\n{screen.decode()}")
    return _COLOUR.sub("", screen.decode(errors="replace").replace("\r\n", "\n"))
