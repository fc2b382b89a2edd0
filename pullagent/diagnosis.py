"""What `doctor` says of one thing that it looked at, and how an error becomes that."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from pullagent.errors import PullAgentError, Stopped


@dataclass(frozen=True)
class Diagnosis:
    """One thing looked at: what was found, and what to type about it. `host` None means this machine."""

    name: str
    result: Literal["ok", "warn", "failed"]
    detail: str
    hint: str = ""
    host: str | None = None


def size(count: int) -> str:
    """Bytes in decimal megabytes or gigabytes."""
    if count < 1_000_000:
        return "under 1 MB"
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


def good(name: str, detail: str) -> Diagnosis:
    """All is well with it."""
    return Diagnosis(name, "ok", detail)


def doubtful(name: str, detail: str, hint: str) -> Diagnosis:
    """Backups go on, but somebody should look."""
    return Diagnosis(name, "warn", detail, hint)


def bad(name: str, detail: str, hint: str) -> Diagnosis:
    """Backups fail or are not safe while it is so."""
    return Diagnosis(name, "failed", detail, hint)


def of_error(name: str, error: PullAgentError, hint: str = "") -> Diagnosis:
    """An error that a run would meet too, in its own words; `hint` where it has none."""
    return bad(name, error.message, error.hint or hint)


def judged(name: str, look: Callable[[], str], hint: str = "") -> Diagnosis:
    """Good with what `look` returns, bad with the error that it raises (`hint` where it has none).

    Only a stop passes through.
    """
    try:
        return good(name, look())
    except Stopped:
        raise
    except PullAgentError as error:
        return of_error(name, error, hint)
