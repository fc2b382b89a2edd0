"""A process that has the agent imported, and forks one real `pullagent` process for each command.

It saves the second that imports take; the campaign starts thousands. Each command is a process of its own that can
be killed: its parent (also a fork) reports its pid and then its status over the connection that asked for it.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.integration.agent import Done
from tests.lab.processes import plain_environment

HUNG = 999
"""In place of an exit code: it did not end by itself."""
_LONGEST = 65_536


@dataclass(frozen=True)
class Strike:
    """The fault that the driver makes: at act `number` of those on `store`."""

    store: Path
    number: int
    kind: str


class Running:
    """A command that was started; `wait` gives how it ended."""

    def __init__(self, connection: socket.socket, argv: tuple[str, ...], output: Path) -> None:
        self._connection, self._argv, self._output, self._begun = connection, argv, output, time.monotonic()
        self._answers = connection.makefile("r")
        self.pid = int(self._answers.readline())
        # reaches no later process of the same pid
        self._handle = os.pidfd_open(self.pid)

    def send(self, number: int) -> None:
        """Send it a signal."""
        signal.pidfd_send_signal(self._handle, number)

    @property
    def text(self) -> str:
        """What it has written to standard error by now."""
        return self._output.with_suffix(".err").read_text()

    def wait(self, seconds: float) -> Done:
        """Its end; when it takes longer it is killed, and its code is HUNG."""
        timer = threading.Timer(seconds, lambda: self.send(signal.SIGKILL))
        timer.start()
        try:
            code = os.waitstatus_to_exitcode(int(self._answers.readline()))
            took = time.monotonic() - self._begun
            hung = not timer.is_alive()
        finally:
            timer.cancel()
            self._answers.close()
            self._connection.close()
            os.close(self._handle)
        out = self._output.with_suffix(".out").read_text()
        return Done(self._argv, HUNG if hung else code, out, self.text, took)


class Zygote:
    """The forking process, whose files lie below `directory`."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True)
        self._directory, self._number = directory, 0
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.faults.zygote", str(theirs.fileno())],
                env=plain_environment(directory),
                cwd=Path(__file__).parents[2],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
            )

    def close(self) -> None:
        """End it; commands that still run go on."""
        self._ours.close()
        self._process.wait(30)

    def start(
        self, argv: list[str], environment: Mapping[str, str], cwd: Path, strike: Strike | None = None
    ) -> Running:
        """Start `pullagent ARGV`, with a fault if `strike` says so."""
        self._number += 1
        output = self._directory / f"{self._number % 50}"
        for suffix in (".out", ".err"):
            # what an earlier command said there must not pass for this one's
            output.with_suffix(suffix).write_bytes(b"")
        fault = [str(strike.store), strike.number, strike.kind] if strike else None
        order = {"argv": argv, "environment": dict(environment), "cwd": str(cwd), "output": str(output), "fault": fault}
        near, far = socket.socketpair()
        with far:
            socket.send_fds(self._ours, [json.dumps(order).encode()], [far.fileno()])
        return Running(near, tuple(argv), output)


def serve(channel: socket.socket) -> dict[str, Any] | None:
    """Take orders until the channel closes; returns an order in the process that is to carry it out."""
    while True:
        data, descriptors, _, _ = socket.recv_fds(channel, _LONGEST, 1)
        _reap()
        if not data:
            return None
        order: dict[str, Any] = json.loads(data)
        if os.fork():
            os.close(descriptors[0])
            continue
        channel.close()
        child = os.fork()
        if child == 0:
            os.close(descriptors[0])
            return order
        os.write(descriptors[0], f"{child}\n".encode())
        _, status = os.waitpid(child, 0)
        os.write(descriptors[0], f"{status}\n".encode())
        os._exit(0)


def _reap() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return


def carry_out(order: dict[str, Any]) -> None:
    """Become the `pullagent` that was ordered; ends the process."""
    # a campaign that was started in the background has been told to ignore it
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(order["environment"])
    os.chdir(order["cwd"])
    for number, suffix in ((1, ".out"), (2, ".err")):
        file = os.open(Path(order["output"]).with_suffix(suffix), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(file, number)
        os.close(file)
    if order["fault"]:
        from tests.faults import driver

        store, number, kind = order["fault"]
        driver.main(store, number, kind, order["argv"])
    else:
        from pullagent.cli.app import main

        sys.argv = ["pullagent", *order["argv"]]
        main()


def _import_all() -> None:
    import fabric  # noqa: F401
    import zstandard  # noqa: F401

    import pullagent.cli.app
    import pullagent.cli.progress
    import pullagent.fetch
    import pullagent.pull  # noqa: F401


if __name__ == "__main__":
    _import_all()
    wanted = serve(socket.socket(fileno=int(sys.argv[1])))
    if wanted is not None:
        carry_out(wanted)
