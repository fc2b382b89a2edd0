"""Looks for identities that open the store and lie on this machine, where none belongs. Reads few and small files.

What is found is compared by its public half with the recipients; nothing secret is kept, printed or put into argv.
"""

import base64
import binascii
import os
import pwd
import re
import stat
import struct
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pullagent.programs import ask

_HOMES = 200
_FILES_A_PLACE = 300
_FILE_BYTES = 64 << 10
_KEYS = 40
_WITHIN_HOME = ("", ".config/age", ".config/sops/age", ".age", ".ssh")
_AGE_SECRET = re.compile(rb"AGE-SECRET-KEY-[0-9A-Z-]+", re.IGNORECASE)
_OPENSSH = re.compile(rb"-----BEGIN OPENSSH PRIVATE KEY-----([A-Za-z0-9+/=\s]+)-----END")
_MAGIC = b"openssh-key-v1\0"


@dataclass(frozen=True)
class Search:
    """`opening`: files with an identity that opens the store; `unclear`: with one that could not be compared;
    `closed`: places that could not be looked into; `places`: how many were.
    """

    opening: tuple[Path, ...]
    unclear: tuple[Path, ...]
    closed: tuple[Path, ...]
    places: int


def usual_places(*more: Path) -> list[Path]:
    """The homes of this machine with their key directories, the working directory, /etc/pullagent, and `more`."""
    homes = {Path(entry.pw_dir) for entry in pwd.getpwall()[:_HOMES]} | {Path.home(), Path("/root")}
    within = [home / part for home in sorted(homes) for part in _WITHIN_HOME]
    return list(dict.fromkeys([*more, Path.cwd(), Path("/etc/pullagent"), *within]))


def search(places: Iterable[Path], recipients: Sequence[str]) -> Search:
    """Look into the files that lie directly in `places`."""
    wanted = {" ".join(recipient.split()[:2]) for recipient in recipients}
    opening, unclear, closed, looked, keys = list[Path](), list[Path](), list[Path](), 0, 0
    for place in places:
        try:
            files = _files_in(place)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError:
            closed.append(place)
            continue
        looked += 1
        for file in files:
            for public in _public_halves(file):
                keys += 1
                if public is None or keys > _KEYS:
                    unclear.append(file)
                elif public in wanted:
                    opening.append(file)
    return Search(tuple(dict.fromkeys(opening)), tuple(dict.fromkeys(unclear)), tuple(closed), looked)


def _files_in(place: Path) -> list[Path]:
    """Plain files alone: to open a device can start something, and /dev is a home of Debian's account `sys`."""
    with os.scandir(place) as entries:
        some = [entry for _, entry in zip(range(_FILES_A_PLACE), entries, strict=False)]
        return sorted(Path(e.path) for e in some if not e.name.endswith(".pub") and _is_plain(e))


def _is_plain(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_file()
    except OSError:
        return False


def _public_halves(file: Path) -> Iterator[str | None]:
    """The public half of each private key in a file, as a recipient; None where it cannot be had."""
    data = _content(file)
    for secret in _AGE_SECRET.findall(data):
        yield ask("age-keygen", "-y", data=secret + b"\n")
    for armoured in _OPENSSH.findall(data):
        yield _ssh_public_half(armoured)
    if b"RSA PRIVATE KEY-----" in data:
        # the older form does not hold it in clear
        with suppress(OSError):
            yield " ".join(file.with_name(file.name + ".pub").read_text(errors="replace").split()[:2])


def _content(file: Path) -> bytes:
    """A small plain file's bytes; none of anything else, and no waiting at a pipe."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as opened:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode) or found.st_size > _FILE_BYTES:
                return b""
            return opened.read(_FILE_BYTES)
    except OSError:
        return b""


def _ssh_public_half(armoured: bytes) -> str | None:
    """`ssh-… AAAA…` of an OpenSSH private key, which holds it in clear even behind a passphrase.

    Format: https://github.com/openssh/openssh-portable/blob/master/PROTOCOL.key
    """
    try:
        data = base64.b64decode(armoured)
        if not data.startswith(_MAGIC):
            return None
        rest = data[len(_MAGIC) :]
        for _ in ("cipher", "kdf", "options"):
            _, rest = _string(rest)
        public, _ = _string(rest[4:])
        kind, _ = _string(public)
    except (binascii.Error, struct.error):
        return None
    return f"{kind.decode(errors='replace')} {base64.b64encode(public).decode()}"


def _string(data: bytes) -> tuple[bytes, bytes]:
    (length,) = struct.unpack_from(">I", data)
    return data[4 : 4 + length], data[4 + length :]
