"""The shell around a stream: low priority, and zstd on the host's side. Constants given hosts.toml. Pure."""

from collections.abc import Iterable

from pullagent.model import Manner
from pullagent.sources.base import Source, prologue

# in one thread zstd sends what it has every 128 KiB; with a worker, from 8 MiB on, and who reads would take a dump that
# is slow for stuck, and one that is stuck for slow
_ZSTD = "zstd -q --single-thread -3 --check -c"
# also whether it does what a stream will ask of it
VERSION = prologue("version of zstd") + f"{_ZSTD} </dev/null >/dev/null && zstd --version"
LINK_BYTES = 4 << 20
LINK = prologue("speed of the link") + f"head -c {LINK_BYTES} /dev/zero"
FAILED_STATUS = 121
FAILED = "pullagent: zstd ended with status "
# what the shell starts inherits both; where either program is absent nothing is said and the dump goes on
_GENTLE = "renice -n 10 -p $$ >/dev/null 2>&1; ionice -c 2 -n 7 -p $$ >/dev/null 2>&1\n"


def streamed(command: str, *, nice: bool, packed: bool) -> str:
    """A stream's command with what goes around it; its first line, which names it, stays the first."""
    head, _, rest = command.partition("\n")
    return f"{head}\n{_GENTLE if nice else ''}{_packed(rest) if packed else rest}"


def commands_of(sources: Iterable[Source], manner: Manner) -> tuple[str, ...]:
    """Every command that pulls of these sources can send, each once, in order."""
    found: list[str] = []
    for source in sources:
        streams = source.streams()
        if streams:
            found += questions(manner)
        for command in source.commands():
            found += _forms(command, manner) if command in streams else [command]
    return tuple(dict.fromkeys(found))


def questions(manner: Manner) -> list[str]:
    """What is asked of a host before its streams."""
    return {"plain": [], "zstd": [VERSION], "auto": [LINK, VERSION]}[manner.wire]


def _forms(command: str, manner: Manner) -> list[str]:
    ways = {"plain": [False], "zstd": [True], "auto": [False, True]}[manner.wire]
    return [streamed(command, nice=manner.nice, packed=packed) for packed in ways]


def _packed(lines: str) -> str:
    """Lines of shell with their output through zstd.

    The status is theirs; FAILED_STATUS and a word on standard error where zstd itself failed, of which a failure of
    theirs may only be the consequence. Their status comes by a descriptor of its own, for sh has no `pipefail`;
    ksh adds 256 for a signal.
    """
    return f"""\
plain() (
{lines}
)
exec 3>&1
s=$({{ {{ plain 3>&- 4>&-; echo "$?" >&4; }} | {_ZSTD} >&3 3>&- 4>&-; }} 4>&1)
z=$?
case $z,$s in 0,[0-9]*) exit $((s > 255 ? s - 128 : s)) ;; esac
echo "{FAILED}$z" >&2
exit {FAILED_STATUS}"""
