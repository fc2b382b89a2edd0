"""Joins a git here with a git-upload-pack on a host, over the connection that everything else goes over.

git speaks by a descriptor (gitremote-fd) and never starts an SSH client: so one place pins host keys, holds the pull
key, follows gateways and bounds what a hostile server may send.
"""

import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from pullagent.errors import CommandFailed, ContentError, PullAgentError, SourceError
from pullagent.model import StopSignal
from pullagent.sources.base import Remote
from pullagent.sources.git.packets import Packets

PROTOCOL = "fd"
_CHUNK = 64 << 10
_HEAD = 8 << 10
_AGENT = re.compile(rb"[ \0]agent=git/([0-9A-Za-z.+~_-]{1,80})")
_LAST_WORDS_S = 10


class Line(threading.Thread):
    """Carries what a remote command says to a socket, and what is said there to the command."""

    def __init__(
        self, host: Remote, command: str, end: socket.socket, limit: int, advanced: Callable[[int], None]
    ) -> None:
        super().__init__(daemon=True, name="git line")
        self._advanced = advanced
        self._host, self._command, self._end, self._limit = host, command, end, limit
        self._head, self._over = b"", StopSignal()
        self.error: PullAgentError | None = None

    @property
    def version(self) -> str | None:
        """Of the git on the other side, as it calls itself in its first line."""
        match = _AGENT.search(self._head)
        return match[1].decode() if match else None

    def run(self) -> None:
        """Until either side ends."""
        packets = Packets()
        try:
            for chunk in self._host.converse(self._command, self._spoken(), self._over):
                packets.feed(chunk)
                if packets.listed > self._limit:
                    # git would hold all of it in memory
                    raise ContentError(f"{self._host.name}: a list of refs without end", "what is that repository?")
                if len(self._head) < _HEAD:
                    self._head += chunk[:_HEAD]
                self._end.sendall(chunk)
                self._advanced(len(chunk))
        except OSError:
            # git has heard enough, or is gone
            pass
        except PullAgentError as error:
            self.error = error
        finally:
            with suppress(OSError):
                self._end.shutdown(socket.SHUT_WR)

    def _spoken(self) -> Iterator[bytes]:
        with suppress(OSError):
            while data := self._end.recv(_CHUNK):
                yield data

    def hang_up(self) -> None:
        """git has ended: wait for the other side's last words, then end it too."""
        self.join(_LAST_WORDS_S)
        self.cut()

    def cut(self) -> None:
        """End the other side, whatever it still has to say."""
        self._over.set()
        with suppress(OSError):
            self._end.shutdown(socket.SHUT_RDWR)
        self.join(_LAST_WORDS_S)


@contextmanager
def joined(host: Remote, command: str, limit: int, advanced: Callable[[int], None]) -> Iterator[tuple[int, Line]]:
    """A descriptor for git to speak by, and who carries it and tells how much came: `limit` bytes beside the pack.

    What went wrong on the host is raised in place of git's own words about a line that went dead.
    """
    ours, theirs = socket.socketpair()
    line = Line(host, command, ours, limit, advanced)
    with ours:
        line.start()
        try:
            with theirs:
                yield theirs.fileno(), line
        except SourceError:
            line.hang_up()
            if line.error is not None:
                raise _explained(line.error, host.name) from line.error
            raise
        except BaseException:
            line.cut()
            raise
        line.hang_up()


def _explained(error: PullAgentError, host: str) -> PullAgentError:
    if not isinstance(error, CommandFailed):
        return error
    said = error.stderr
    if "dubious ownership" in said:
        path = said.partition("repository at '")[2].partition("'")[0] or "PATH"
        return SourceError(
            f"{host}: its git does not show a repository of another account to the one that pulls: {path}",
            f"as root on {host}, once:  git config --system --add safe.directory {path}",
        )
    if "not appear to be a git repository" in said or "not a git repository" in said:
        return SourceError(
            error.message,
            "check url in hosts.toml; is it there, and may the pull account read it?",
        )
    if error.status == 127:
        return SourceError(error.message, f"install git on {host}: apt-get install git")
    return error
