"""What is known of a mirror beside it: when it was last compared with its upstream, and how that ended.

The time is that of the file itself, so that a comparison that finds nothing new changes no file's content.
"""

import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pullagent.store.durable import read_plain

_FORMAT = 1


@dataclass(frozen=True)
class Note:
    """`compared`: the last comparison that upstream answered (UTC), None before the first. `agree`: whether the mirror
    held what upstream showed then. `error`: of the last attempt, empty when it went well.
    """

    compared: datetime | None
    agree: bool
    error: str = ""


def read(file: Path) -> Note | None:
    """None where there is none, or none that can be read: the next comparison writes it anew."""
    try:
        found = json.loads(read_plain(file))
        seconds = file.stat().st_mtime
        compared = datetime.fromtimestamp(seconds, UTC) if seconds >= 1 else None
        return Note(compared, found["agree"] is True, str(found["error"]))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def write(file: Path, note: Note) -> None:
    """Put it there, whole; only its time where nothing else differs. OSError."""
    seconds = note.compared.timestamp() if note.compared else 0.0
    before = read(file)
    if before is None or (before.agree, before.error) != (note.agree, note.error):
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = file.with_name(f".{file.name}.new")
        text = json.dumps({"format": _FORMAT, "agree": note.agree, "error": note.error}) + "\n"
        temporary.write_text(text)
        temporary.chmod(0o600)
        os.utime(temporary, (seconds, seconds))
        temporary.replace(file)
    else:
        os.utime(file, (seconds, seconds))
