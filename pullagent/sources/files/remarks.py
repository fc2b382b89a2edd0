"""What tar says beside an archive, or instead of one, and what it means."""

import re

from pullagent.errors import CommandFailed, HostError, SourceError
from pullagent.model import Findings

ASK_ROOT = (
    "sudo = true in hosts.toml lets tar alone run as root (`pullagent gate` writes its line for sudoers);"
    " or name in `exclude` what need not be saved"
)
_NAMED = 20
# it names itself as it was called
_SAID = re.compile(r"(?:\S*/)?tar: (.*)")
# what it says of a file that did not hold still, with status 1
_MOVED = re.compile(r".*: (?:file changed as we read it|File removed before we read it|File shrank by .*)")
# a shell's words, not sudo's own of a command that it lacks
_NO_SUDO = re.compile(r"\bsudo: (?:command )?not found|\bsudo: inaccessible or not found")
_ELSEWHERE = re.compile(r"(.*?)/?: file is on a different filesystem; not dumped")
_SOCKET = re.compile(r".*: (?:socket|door) ignored")


def remark(host: str, said_there: str, status: int | None, findings: Findings, left_out: list[str]) -> None:
    """Tell what tar said of an archive that it ended with 0 or 1. `left_out`: what is known to be mounted elsewhere.
    SourceError for status 1 where it names no file.
    """
    said = [match[1] for match in map(_SAID.fullmatch, said_there.splitlines()) if match]
    moved = [line for line in said if _MOVED.fullmatch(line)]
    if status == 1 and not moved:
        # sudo and shells end with 1 too
        words = said_there.strip()[-500:]
        message = f"{host}: tar ended with status 1 and names no file: {words}"
        raise explained(CommandFailed(message, status=1, stderr=words), host)
    if moved:
        # the manifest is not encrypted: names are told, and kept nowhere
        findings.warn(f"{many(len(moved), 'file')} changed while they were read, and may be torn: the run named them")
        findings.tell(f"changed while they were read: {listed(moved)}")
    elsewhere = [f"/{_unquoted(match[1])}" for match in map(_ELSEWHERE.fullmatch, said) if match]
    volumes = [path for path in elsewhere if path not in left_out]
    if volumes:
        findings.warn(f"{many(len(volumes), 'subvolume')} below `paths` left out (one_file_system)")
        findings.tell(f"left out, being a volume of its own: {listed(volumes)}")
    known = (_MOVED, _ELSEWHERE, _SOCKET)
    others = [line for line in said if not any(form.fullmatch(line) for form in known)]
    if others:
        findings.warn(f"{many(len(others), 'remark')} of tar's: the run told them")
        findings.tell(f"tar's remarks: {listed(others)}")


def listed(names: list[str]) -> str:
    """The first of them, and how many more there are."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{', '.join(names[:_NAMED])}{more}"


def _unquoted(name: str) -> str:
    """A name as tar writes it in the locale C."""
    raw = re.sub(rb"\\([0-7]{3})", lambda m: bytes((int(m[1], 8) & 255,)), name.encode(errors="replace"))
    return raw.decode(errors="surrogateescape")


def many(count: int, what: str) -> str:
    """So many of it, in words."""
    return f"{count} {what}{'' if count == 1 else 's'}"


def not_gnu(host: str, found: str) -> SourceError:
    """For another tar than GNU's."""
    return SourceError(f"{host} has {found}, which keeps neither ACLs nor sparse files", "apt-get install tar there")


def explained(error: CommandFailed, host: str) -> HostError | SourceError:
    """The failure of tar, or of sudo before it, with what to do about it."""
    said = error.stderr
    if _NO_SUDO.search(said):
        return SourceError(error.message, f"apt-get install sudo on {host}")
    if "sudo: " in said or "is not allowed to" in said:
        return SourceError(
            error.message,
            f"sudo there must allow this very command: pullagent gate {host} -o DIR writes its line for sudoers",
        )
    if "Permission denied" in said:
        return SourceError(error.message, ASK_ROOT)
    if "No such file or directory" in said:
        return SourceError(error.message, "check `paths` in hosts.toml; what comes and goes belongs in `exclude`")
    if "unrecognized option" in said or "invalid option" in said:
        return SourceError(error.message, f"GNU tar 1.28 or newer is needed there:  ssh {host} tar --version")
    return error
