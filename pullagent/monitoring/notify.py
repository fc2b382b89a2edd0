"""Pings and messages to the outside: each in a process of its own, bounded in time, failing nothing."""

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from pullagent.config import Config
from pullagent.tables import is_http_url

_MESSENGER = Path(__file__).with_name("messenger.py")
# as JSON, still less than a pipe takes while nobody reads it
_MOST = 10_000
# for an interpreter and a library, which a busy machine may have to read from its disk
_START_S = 60.0
# to hear of one that has long been delivered: a run asks when it is over
_LEAST_S = 1.0


@dataclass(frozen=True)
class _Delivery:
    """One on its way. `what` names it without its URL; its process was started at `started`, by the monotonic clock."""

    what: str
    process: "subprocess.Popen[bytes]"
    started: float


class Notifier:
    """Sends what [notify] asks for. Nothing here raises: `settle` says what was not delivered, naming no URL."""

    def __init__(self, config: Config) -> None:
        self._table, self._base = config.notify, config.path.absolute().parent
        self._under_way: list[_Delivery] = []
        self._problems: list[str] = []
        self._ping_url = self._read_ping_url()
        self._message_urls = self._read_message_urls()

    @property
    def details(self) -> bool:
        """Whether the operator wants to read what production hosts said."""
        return self._table.details

    @property
    def sends_messages(self) -> bool:
        """Whether there is anyone to send them to."""
        return bool(self._message_urls)

    def ping(self, suffix: str = "", body: str = "") -> None:
        """Ping the URL, with `/start` or `/fail` after its path; does not wait for the answer."""
        if self._ping_url:
            self._send(f"the {suffix.strip('/') or 'success'} ping", _with(self._ping_url, suffix), True, "", body)

    def message(self, title: str, body: str) -> None:
        """Send a message to everyone; does not wait."""
        for number, url in enumerate(self._message_urls, 1):
            which = f" {number} of {len(self._message_urls)}" if len(self._message_urls) > 1 else ""
            self._send(f"the message{which}", url, False, title, body)

    def settle(self) -> list[str]:
        """Wait until all that is under way has arrived or its time is over; what did not arrive, and why."""
        for delivery in self._under_way:
            problem = _result(delivery, self._table.timeout_s)
            if problem:
                self._problems.append(f"{delivery.what} was not delivered: {problem}")
        problems, self._problems, self._under_way = self._problems, [], []
        return problems

    def _send(self, what: str, url: str, ping: bool, title: str, body: str) -> None:
        limit_s = self._table.timeout_s
        order = {"url": url, "ping": ping, "title": title, "body": body[:_MOST], "limit_s": limit_s}
        try:
            # -P: nothing is imported from the directory of the run; the URL stands in no argument
            process = subprocess.Popen(
                [sys.executable, "-P", str(_MESSENGER)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
            self._under_way.append(_Delivery(what, process, time.monotonic()))
            assert process.stdin is not None
            with process.stdin:
                process.stdin.write(json.dumps(order).encode())
        except OSError as error:
            self._problems.append(f"{what} was not sent: {error.strerror}")

    def _read_ping_url(self) -> str | None:
        if self._table.ping_url_file is None:
            return self._table.ping_url
        lines = self._lines("ping_url_file", self._table.ping_url_file)
        if len(lines) == 1 and is_http_url(lines[0]):
            return lines[0]
        if lines:
            self._problems.append("[notify] ping_url_file: not one http:// or https:// URL")
        return self._table.ping_url

    def _read_message_urls(self) -> Sequence[str]:
        file = self._table.message_urls_file
        return (*self._table.message_urls, *(self._lines("message_urls_file", file) if file is not None else ()))

    def _lines(self, key: str, file: str) -> list[str]:
        try:
            lines = (self._base / file).read_text().splitlines()
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "not UTF-8"
            self._problems.append(f"[notify] {key}: {file}: {why}")
            return []
        return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def _with(url: str, suffix: str) -> str:
    """`url` with `suffix` after its path; what stands behind `?` stays there."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=parts.path.rstrip("/") + suffix)) if suffix else url


def _result(delivery: _Delivery, limit_s: float) -> str:
    """Why it was not delivered; empty when it was."""
    process, begun = delivery.process, _begun(delivery)
    try:
        # communicate would write to the input that is closed by now
        process.stdin = None
        output, _ = process.communicate(timeout=max(_LEAST_S, begun + limit_s - time.monotonic()))
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return f"no answer within {limit_s:g} s"
    if process.returncode:
        return "the messenger ended early"
    return output.decode(errors="replace").rpartition("\n")[2]


def _begun(delivery: _Delivery) -> float:
    """When its process began to deliver; when it was started, if it ended or its time was over before that."""
    assert delivery.process.stdout is not None
    output, line = delivery.process.stdout.fileno(), b""
    while not line.endswith(b"\n"):
        left_s = delivery.started + _START_S - time.monotonic()
        byte = os.read(output, 1) if select.select([output], [], [], max(0.0, left_s))[0] else b""
        if not byte:
            break
        line += byte
    try:
        return min(float(line), time.monotonic())
    except ValueError:
        return delivery.started
