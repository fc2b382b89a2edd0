"""Words for spans of time, shared by screens and reasons. Pure."""

from datetime import timedelta


def span(delta: timedelta) -> str:
    """How long ago, or until, in one unit."""
    seconds = delta.total_seconds()
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{int(seconds // length)} {unit}"
    return f"{max(0, int(seconds))} s"
