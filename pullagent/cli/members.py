"""The files of a snapshot, as `tar -tv` lists them; one at a time, however many there are."""

import json
import stat
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from pullagent.checks.tree import DEVICES, Member
from pullagent.cli import ui

_LETTERS = {
    "file": "-",
    "hard link": "h",
    "directory": "d",
    "symbolic link": "l",
    "fifo": "p",
    "character device": "c",
    "block device": "b",
}


def show(found: Iterator[Member]) -> None:
    """A line for each: permissions, owner, size in bytes (numbers of a device), time (UTC), path."""
    for member in found:
        owner = f"{member.uid}:{member.gid}"
        number = f"{member.device[0]},{member.device[1]}" if member.kind in DEVICES else f"{member.size}"
        ui.say(f"{_permissions(member)} {owner:>11} {number:>12} {_time(member)} {_path(member)}")


def print_json(found: Iterator[Member], **fields: Any) -> None:
    """One JSON object with `files` at its end, written as they come."""
    head = json.dumps({"format": 1} | fields, indent=2, ensure_ascii=True).removesuffix("\n}")
    sys.stdout.write(f'{head},\n  "files": [')
    separator = "\n"
    for member in found:
        sys.stdout.write(f"{separator}    {json.dumps(_as_json(member), ensure_ascii=True)}")
        separator = ",\n"
    sys.stdout.write("\n  ]\n}\n")


def _as_json(member: Member) -> dict[str, Any]:
    return {
        "path": f"/{member.name}",
        "kind": member.kind,
        "mode": f"{member.mode:04o}",
        "uid": member.uid,
        "gid": member.gid,
        "size_bytes": member.size,
        "modified": _time(member),
        "link": ("/" if member.kind == "hard link" else "") + member.link if member.link else None,
    }


def _permissions(member: Member) -> str:
    # as for a plain file: filemode() knows no hard link
    return _LETTERS[member.kind] + stat.filemode(stat.S_IFREG | member.mode)[1:]


def _path(member: Member) -> str:
    path = f"/{member.name}"
    if member.kind == "hard link":
        path += f" link to /{member.link}"
    elif member.link:
        path += f" -> {member.link}"
    # a name must not be able to make a line of its own
    return path.replace("\n", "\\n").replace("\t", "\\t")


def _time(member: Member) -> str:
    try:
        return datetime.fromtimestamp(int(float(member.mtime) // 1), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return "?"
