"""What the ledger's lines come to for each source: its last pull, verification, key check and drill. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from pullagent.model import SourceName


@dataclass(frozen=True)
class Event:
    """One line of the ledger: when (UTC), how it ended, how long it took in seconds, and its error's first line."""

    time: datetime
    ok: bool
    exit_code: int = 0
    took_s: float = 0.0
    error: str = ""


@dataclass(frozen=True)
class Facts:
    """What is recorded of one source. All but `pulled` and `drill_tried` are the newest that ended well.

    `damaged` holds the ids that their last verification found damaged, whether they are still in the store or not.
    """

    pulled: Event | None = None
    stored: Event | None = None
    verified: Event | None = None
    key_checked: Event | None = None
    drilled: Event | None = None
    damaged: frozenset[str] = frozenset()
    drill_tried: Event | None = None


_READ = ("pull", "verify", "key check", "drill")


def facts_of(entries: Iterable[Mapping[str, Any]]) -> dict[SourceName, Facts]:
    """The facts of every source that the ledger, oldest line first, names. Lines of another shape are passed over."""
    found: dict[SourceName, Facts] = {}
    for entry in entries:
        if entry.get("event") not in _READ:
            continue
        name, event = _name(entry), _event(entry)
        if name is not None and event is not None:
            found[name] = _after(found.get(name, Facts()), entry, event)
    return found


def last_told(entries: Iterable[Mapping[str, Any]]) -> tuple[Event | None, dict[str, str]]:
    """When somebody was last told that sources are overdue, and of which: their names and verdicts."""
    last: tuple[Event | None, dict[str, str]] = (None, {})
    for entry in entries:
        if entry.get("event") == "notify" and (event := _event(entry)) is not None and event.ok:
            told = _detail(entry).get("told")
            last = (event, told if isinstance(told, dict) else {})
    return last


def _after(facts: Facts, entry: Mapping[str, Any], event: Event) -> Facts:
    kind = entry["event"]
    if kind == "pull":
        return replace(facts, pulled=event, stored=event if event.ok else facts.stored)
    if kind == "verify":
        facts = replace(facts, damaged=(facts.damaged - _ids(entry, "ids")) | _ids(entry, "damaged"))
        return replace(facts, verified=event) if event.ok else facts
    if kind == "drill":
        return replace(facts, drill_tried=event, drilled=event if event.ok else facts.drilled)
    return replace(facts, key_checked=event) if event.ok else facts


def _name(entry: Mapping[str, Any]) -> SourceName | None:
    host, source = entry.get("host"), entry.get("source")
    return SourceName(host, source) if isinstance(host, str) and isinstance(source, str) else None


def _event(entry: Mapping[str, Any]) -> Event | None:
    try:
        time = datetime.fromisoformat(entry["time"])
        took_s, code = float(entry.get("took_s") or 0), int(entry.get("exit_code") or 0)
    except (KeyError, TypeError, ValueError):
        return None
    if time.tzinfo is None:
        return None
    error = str(_detail(entry).get("error") or "").strip().partition("\n")[0]
    return Event(time, entry.get("ok") is True, code, took_s, error)


def _ids(entry: Mapping[str, Any], key: str) -> frozenset[str]:
    value = _detail(entry).get(key)
    return frozenset(i for i in value if isinstance(i, str)) if isinstance(value, list) else frozenset()


def _detail(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    detail = entry.get("detail")
    return detail if isinstance(detail, dict) else {}
