"""A network of two ends, joined by a cable that can be pulled; needs root."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

needs_namespaces = pytest.mark.skipif(
    os.getuid() != 0 or shutil.which("ip") is None, reason="only root can make network namespaces"
)


class Cable:
    """`here` and `there` are its two addresses; `there` lies in a namespace, where `inside` runs programs."""

    def __init__(self) -> None:
        number = os.getpid() % 250
        self._namespace, self._link = f"pa-faults-{os.getpid()}", f"pa{os.getpid()}"
        self.here, self.there = f"10.213.{number}.1", f"10.213.{number}.2"

    def lay(self) -> None:
        """Make the namespace and the cable."""
        _ip("netns", "add", self._namespace)
        _ip("link", "add", self._link, "type", "veth", "peer", "name", "far", "netns", self._namespace)
        _ip("addr", "add", f"{self.here}/30", "dev", self._link)
        _ip("link", "set", self._link, "up")
        _ip("-n", self._namespace, "addr", "add", f"{self.there}/30", "dev", "far")
        for device in ("far", "lo"):
            _ip("-n", self._namespace, "link", "set", device, "up")

    def remove(self) -> None:
        """Take both away."""
        for words in (("link", "del", self._link), ("netns", "del", self._namespace)):
            subprocess.run(["ip", *words], capture_output=True, check=False, timeout=30)

    def inside(self, argv: list[str]) -> list[str]:
        """A command line that runs `argv` at the far end."""
        return ["ip", "netns", "exec", self._namespace, *argv]

    def slow_down(self, megabits: int) -> None:
        """Let no more than so many million bits a second pass from here to there."""
        words = ("root", "tbf", "rate", f"{megabits}mbit", "burst", "64kb", "latency", "50ms")
        subprocess.run(["tc", "qdisc", "add", "dev", self._link, *words], capture_output=True, check=True, timeout=30)

    def pull(self) -> None:
        """No packet passes any more, and nobody is told."""
        # down at the near end alone: the far end's own interface would tell its programs
        _ip("link", "set", self._link, "down")

    def plug(self) -> None:
        """Packets pass again."""
        _ip("link", "set", self._link, "up")


@contextmanager
def cable() -> Iterator[Cable]:
    """A cable for a while."""
    laid = Cable()
    try:
        laid.lay()
        yield laid
    finally:
        laid.remove()


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], capture_output=True, check=True, timeout=30)
