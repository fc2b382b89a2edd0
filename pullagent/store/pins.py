"""PINNED.json: who keeps a snapshot from being removed, since when, and why."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

import msgspec

from pullagent.model import rfc3339


@dataclass(frozen=True)
class Pin:
    """A pin. `when` in UTC."""

    who: str
    when: Annotated[datetime, msgspec.Meta(tz=True)]
    why: str


def dump(pin: Pin) -> bytes:
    """PINNED.json's text, UTF-8, with a final newline."""
    return msgspec.json.format(msgspec.json.encode(pin), indent=2) + b"\n"


def parse(raw: bytes) -> Pin | None:
    """Read PINNED.json; None when it is not readable. What bears that name pins, whatever it holds."""
    try:
        return msgspec.json.decode(raw, type=Pin)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None


def told(pin: Pin | None) -> str:
    """A pin in words."""
    return "PINNED.json is not readable" if pin is None else f"{rfc3339(pin.when)} by {pin.who}: {pin.why}"
