"""One delivery, in a process of its own that its starter can end: a hanging name server or a library cannot hold a run.

Standard input: a JSON object with `url`, `title`, `body`, `limit_s`, and `ping` (a POST; else a message through
apprise). The first line of standard output: when the delivery itself began, in seconds of the monotonic clock, for that
a library takes long to load on a busy machine is no fault of the other end. The last: why it was not delivered, without
any part of the URL; empty when it was.
Nothing of the package is imported: it starts quickly, and whatever apprise brings stays out of the run's memory.
"""

import json
import logging
import os
import signal
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path


def main() -> None:
    """Deliver, and say how it went."""
    order = json.loads(Path("/dev/stdin").read_bytes())
    # should nobody be left to end it
    signal.alarm(int(order["limit_s"]) + 90)
    logging.disable(logging.CRITICAL)
    try:
        problem = _ping(order) if order["ping"] else _message(order)
    except Exception as error:
        problem = _named(error)
    os.write(1, f"\n{problem}".encode())


def _begin() -> None:
    os.write(1, f"{time.monotonic()}\n".encode())


def _ping(order: dict[str, str]) -> str:
    request = urllib.request.Request(order["url"], data=order["body"].encode(), method="POST")
    request.add_header("Content-Type", "text/plain; charset=utf-8")
    request.add_header("User-Agent", "pullagent")
    _begin()
    with urllib.request.urlopen(request, timeout=float(order["limit_s"])) as answer:
        answer.read(1024)
    return ""


def _message(order: dict[str, str]) -> str:
    try:
        import apprise
    except ImportError:
        return f"the library apprise is not installed: {sys.executable} -m pip install apprise"
    service = apprise.Apprise()
    if not service.add(order["url"]):
        return "apprise knows no such URL"
    _begin()
    return "" if service.notify(title=order["title"], body=order["body"]) else "apprise could not deliver it"


def _named(error: Exception) -> str:
    """What went wrong, by its kind alone: an exception's text may hold the URL."""
    if isinstance(error, urllib.error.HTTPError):
        return f"HTTP {error.code}"
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(cause, TimeoutError):
        return "no answer in time"
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    return type(cause).__name__


if __name__ == "__main__":
    main()
