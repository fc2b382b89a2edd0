"""What the service manager takes and gives: priorities for its journal, a unit's status line, credentials."""

import os
import socket
import sys
from contextlib import suppress
from enum import IntEnum
from pathlib import Path
from typing import IO

from pullagent.errors import ConfigError

_STATUS_BYTES = 400
_FIRST_SOCKET = 3
# more than a socket holds; under a flood what is left starts the unit again, after its pause
_QUEUE = 10_000


class Priority(IntEnum):
    """How much a line matters, as in syslog(3)."""

    ERROR = 3
    WARNING = 4
    NOTICE = 5
    INFO = 6

    @classmethod
    def of(cls, line: str) -> "Priority":
        """What a line's beginning says of it."""
        named = {"error:": cls.ERROR, "warning:": cls.WARNING, "hint:": cls.NOTICE}
        return named.get(line.partition(" ")[0], cls.INFO)


def mark(stream: IO[str], priority: Priority) -> str:
    """What each line on `stream` begins with: `<3>` for an error, and nothing where it does not go to the journal.

    JOURNAL_STREAM names the journal's device and inode (systemd.exec(5)), as it may have been inherited while the
    stream was sent elsewhere.
    """
    named = os.environ.get("JOURNAL_STREAM")
    if not named:
        return ""
    try:
        found = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return ""
    return f"<{priority}>" if named == f"{found.st_dev}:{found.st_ino}" else ""


def watched() -> bool:
    """Whether the service manager wants to hear how it goes."""
    return bool(os.environ.get("NOTIFY_SOCKET"))


def tell_status(text: str) -> None:
    """Show `text` as the unit's status (sd_notify(3)). What cannot be delivered is dropped: it must not end a run."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    line = " ".join(text.split()).encode(errors="replace")[:_STATUS_BYTES]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as endpoint:
            endpoint.settimeout(1)
            endpoint.connect("\0" + address[1:] if address[0] == "@" else address)
            endpoint.send(b"STATUS=" + line.decode(errors="ignore").encode())
    except OSError:
        return


def credential(name: str) -> Path | None:
    """The file with a credential that the unit was given (LoadCredential=); None without one, or for a blank one.

    ConfigError when it cannot be read.
    """
    directory = os.environ.get("CREDENTIALS_DIRECTORY")
    if not directory:
        return None
    file = Path(directory) / name
    try:
        return file if file.read_bytes().strip() else None
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}", "look at LoadCredential= of the unit") from error


def in_journal() -> bool:
    """Whether what is said goes to the journal."""
    return bool(mark(sys.stdout, Priority.INFO))


def discard_datagrams() -> None:
    """Empty the sockets that the service manager handed over (sd_listen_fds(3)), reading nothing of what they hold.

    What comes later is left there, and so starts the unit again when it has ended.
    """
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return
    for number in range(_FIRST_SOCKET, _FIRST_SOCKET + int(os.environ.get("LISTEN_FDS", "0"))):
        with suppress(OSError), socket.socket(fileno=os.dup(number)) as endpoint:
            for _ in range(_QUEUE):
                # nothing of a datagram is taken but its place in the queue; recv(0) would not even ask
                endpoint.recvmsg(0, 0, socket.MSG_DONTWAIT)
