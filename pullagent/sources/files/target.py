"""The directory on a target that files are to go to: what it holds, and how it comes to be there."""

import posixpath
import re
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pullagent.errors import HostError, RestoreError
from pullagent.sources.base import Remote, prologue


@dataclass(frozen=True)
class Place:
    """A directory on the target: absent, empty, filled, or other; `free` bytes and `nodes` are of its file system.
    `uid`: the login's.
    """

    path: str
    state: str
    uid: int
    writable: bool
    free: int
    nodes: int
    tar: str

    @property
    def root(self) -> bool:
        """Whether the login is root."""
        return self.uid == 0


@dataclass(frozen=True)
class Made:
    """What a restore made on the target: its directory or not, and which directories above what comes back."""

    place: bool = False
    parents: tuple[str, ...] = ()


class Target:
    """The directory `into`, absolute or below the login's home."""

    def __init__(self, host: Remote, into: str) -> None:
        self._host = host
        into = posixpath.normpath(re.sub(r"/+", "/", into))
        self.quoted = shlex.quote(into) if into.startswith("/") else f'"$HOME"/{shlex.quote(into)}'

    def look(self) -> Place:
        """What is there; nothing is changed."""
        command = (
            f"{prologue('look at where files are to go')}d={self.quoted}\n"
            "v=$(tar --version) || exit; printf '%s\\n' \"$v\" | head -n 1; id -u; p=$d\n"
            f"{_STATE}"
            'echo "$s"\n'
            'while [ ! -d "$p" ]; do p=$(dirname -- "$p"); done\n'
            '[ -w "$p" ] && [ -x "$p" ] && echo writable || echo closed\n'
            "stat -f -c '%a %S %d' -- \"$p\"; printf '%s' \"$d\""
        )
        answer = self._host.read(command).decode(errors="surrogateescape")
        match = re.fullmatch(
            r"(.*)\n([0-9]+)\n(absent|empty|filled|other)\n(writable|closed)\n([0-9]+) ([0-9]+) ([0-9]+)\n(/.*)", answer
        )
        if match is None:
            raise HostError(f"{self._host.name} answers {answer[:120]!r}", _SILENT)
        tar, user, state, writable, blocks, block, nodes, path = match.groups()
        path = re.sub(r"/+", "/", path).rstrip("/") or "/"
        return Place(path, state, int(user), writable == "writable", int(blocks) * int(block), int(nodes), tar)

    def links(self, directories: Iterator[bytes]) -> list[str]:
        """Which of these names in it, each ended by NUL, are links to directories, and where each leads; not all of
        very many.
        """
        command = (
            f"{prologue('look for links where directories are to go')}cd -- {self.quoted} || exit\n"
            '{ xargs -0 sh -c \'for n; do [ ! -L "./$n" ] || [ ! -d "./$n" ] || '
            'printf "%s leads to %s\\0" "$n" "$(readlink -f "./$n")"; done\' sh && printf \'looked\\0\'; } |\n'
            # what is not read to its end would look like a failure
            f"{{ head -c {_LINKS_BYTES}; cat >/dev/null; }}"
        )
        answer = self._host.send(command, directories).decode(errors="surrogateescape")
        *links, last, end = ["", *answer.split("\0")]
        if len(links) > 1 and len(answer.encode(errors="surrogateescape")) >= _LINKS_BYTES:
            return [*links[1:], "and others"]
        if last != "looked" or end:
            raise HostError(f"{self._host.name} answers {answer[:120]!r}", _SILENT)
        return links[1:]

    def make(self, place: Place, roots: Iterable[str], *, replace: bool) -> Made:
        """Make it where it is absent, for the login alone, and all that is missing above it and above `roots` in it.

        RestoreError when it holds something by now and may not: an operator may take long to say yes.
        """
        above = dict.fromkeys(root.rpartition("/")[0] for root in roots if "/" in root)
        # a name's last line ends are kept by a letter behind them
        inner = "".join(f"n=$(printf '{octal(name)}x'); up \"$d/${{n%x}}\" || exit\n" for name in above)
        command = (
            f"{prologue('make where files are to go')}umask 022\nd={self.quoted}\n"
            'up() { [ -d "$1/" ] || { up "${1%/*}" && mkdir -- "$1" && printf \'%s\\0\' "$1"; }; }\n'
            f"{_STATE}printf '%s\\0' \"$s\"\n"
            f"case $s in absent|empty{'|filled' if replace else ''}) ;; *) exit 0 ;; esac\n"
            # mkdir fails where somebody was faster
            '[ "$s" != absent ] || { up "${d%/*}" && mkdir -m 700 -- "$d"; } || exit\n'
            f"{inner}printf 'made\\0'"
        )
        answer = self._host.read(command).decode(errors="surrogateescape")
        state, *parents = answer.split("\0")
        if state in ("filled", "other") and parents == [""]:
            raise RestoreError(
                f"{place.path} is no longer {place.state}, nothing was changed",
                "somebody used it after the look before the question: what is in it?  --into DIR takes another",
            )
        if state not in _USABLE or parents[-2:] != ["made", ""]:
            raise HostError(f"{self._host.name} answers {answer[:120]!r}", _SILENT)
        return Made(state == "absent", tuple(re.sub(r"/+", "/", path) for path in parents[:-2]))


_LINKS_BYTES = 32 << 10
_USABLE = ("absent", "empty", "filled")
_STATE = """\
if [ -d "$d" ]; then [ -z "$(ls -A -- "$d")" ] && s=empty || s=filled
elif [ -e "$d" ] || [ -L "$d" ]; then s=other; else s=absent; fi
"""
_SILENT = "does a login script print something there?"


def octal(name: str) -> str:
    """For the shell's printf: any bytes, in letters that no shell or locale changes."""
    plain = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-")
    return "".join(chr(b) if b in plain else f"\\{b:03o}" for b in name.encode(errors="surrogateescape"))
