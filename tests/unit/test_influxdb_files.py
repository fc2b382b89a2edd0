"""Which configuration files of a snapshot may go where, whatever its archive holds; and how a difference is shown."""

import io
import tarfile
from collections.abc import Iterator
from typing import Any

from pullagent.model import StopSignal
from pullagent.sources.base import Stream
from pullagent.sources.influxdb.commands import Commands
from pullagent.sources.influxdb.files import ConfigFiles

CONF = "/etc/influxdb/influxdb.conf"
COMMANDS = Commands(("logs",), (CONF,), None, "127.0.0.1:8086", "127.0.0.1:8088", "/var/tmp")


def archive(*members: tuple[str, bytes, bytes]) -> tarfile.TarFile:
    """Of members with name, content and type."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as out:
        for name, content, kind in members:
            member = tarfile.TarInfo(name)
            member.type, member.size, member.linkname = kind, len(content), "/etc/shadow"
            out.addfile(member, io.BytesIO(content))
    made.seek(0)
    return tarfile.open(fileobj=made)


class Target:
    """A host on which every file holds the same; it notes what it is sent."""

    name = "pavroto-2"
    converse: Any = None
    to: Any = None

    def __init__(self, content: bytes) -> None:
        self.content, self.sent = content, list[str]()

    def open(self, command: str, good: tuple[int, ...] = (0,)) -> Stream:
        """Not asked for."""
        raise NotImplementedError

    def read(self, command: str, limit: int = 16 << 20) -> bytes:
        """The file, whichever is asked for."""
        return b"there\n" + self.content

    def send(self, command: str, chunks: Iterator[bytes], stop: StopSignal | None = None) -> bytes:
        """Note it."""
        self.sent.append(command)
        return b""


def test_an_archive_cannot_choose_what_is_written() -> None:
    """Only plain files at or below the paths of hosts.toml are put in place, whatever a hostile host has stored."""
    target = Target(b"old\n")
    hostile = archive(
        ("etc/influxdb/influxdb.conf/../../cron.d/x", b"new\n", tarfile.REGTYPE),
        ("etc/influxdb/influxdb.conf", b"", tarfile.SYMTYPE),
        ("../etc/passwd", b"new\n", tarfile.REGTYPE),
        ("etc/influxdb/influxdb.conf.d", b"new\n", tarfile.REGTYPE),
        ("/etc/influxdb/influxdb.conf", b"new\n", tarfile.REGTYPE),
        ("queries/users.json", b"new\n", tarfile.REGTYPE),
    )
    told = list(ConfigFiles(target, COMMANDS, hostile, [CONF]).put_in_place())
    assert [(item.name, item.found) for item in told] == [(CONF, "not in the snapshot")]
    assert target.sent == []
    sound = archive(("etc/influxdb/influxdb.conf", b"new\n", tarfile.REGTYPE))
    assert "put in place" in str(next(ConfigFiles(target, COMMANDS, sound, [CONF]).put_in_place()).found)
    assert len(target.sent) == 1


def test_a_difference_is_shown_in_so_many_lines() -> None:
    """A long difference ends with how much more there is."""
    stored = archive(("etc/influxdb/influxdb.conf", b"new\n" * 500, tarfile.REGTYPE))
    shown = str(next(ConfigFiles(Target(b"old\n" * 500), COMMANDS, stored, [CONF]).compare()).found).splitlines()
    assert len(shown) == 62
    assert shown[0] == "differs from the snapshot's:"
    assert shown[-1] == "… and 943 more lines"
