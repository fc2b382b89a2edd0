"""A host that answers with what real servers once said, and only to the commands that a source declares."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext

import zstandard

from pullagent.errors import CommandFailed
from pullagent.gate import DIGEST_COMMAND
from pullagent.model import Address, Manner, StopSignal
from pullagent.sources.base import Remote, Source
from pullagent.wire.commands import commands_of, questions
from tests.vectors import ANSWERS, DUMPS, label


class Undeclared(Exception):
    """A source sent a command that is not among its `commands()`: a gate would have refused it."""


class CannedStream:
    """The recorded output of one command, in chunks of odd sizes; nothing on standard error."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def __iter__(self) -> Iterator[bytes]:
        for start in range(0, len(self._data), 1013):
            yield self._data[start : start + 1013]

    @property
    def status(self) -> int | None:
        """It ended well."""
        return 0

    @property
    def stderr(self) -> str:
        """Silence."""
        return ""


class CannedHost:
    """Answers for `source` as the recorded `server` (a directory of answers) did; `sent` holds what was asked.

    `gate`: what a gate answers to the question for its digest; None where there is none.
    """

    def __init__(self, source: Source, server: str, name: str = "pavroto-2") -> None:
        self.name, self.sent = name, list[str]()
        self.gate: bytes | None = None
        # a pull sends its streams in the manner of hosts.toml, whatever that is
        manners = [Manner(wire, nice) for wire in ("plain", "auto") for nice in (False, True)]
        self._declared = frozenset(command for manner in manners for command in commands_of([source], manner))
        self._answers = {path.stem: path for path in (ANSWERS / server).iterdir()}
        dump = DUMPS / f"{server}-agama.sql"
        if dump.exists():
            self._answers["dump"] = dump

    def open(self, command: str, good: tuple[int, ...] = (0,)) -> CannedStream:
        """The recorded output, compressed where that was asked for."""
        data = self.read(command)
        return CannedStream(
            zstandard.ZstdCompressor(write_checksum=True).compress(data) if "| zstd" in command else data
        )

    def read(self, command: str, limit: int = 16 << 20) -> bytes:
        """The recorded output; Undeclared for what the source did not declare."""
        if command == DIGEST_COMMAND:
            if self.gate is None:
                raise CommandFailed("pullagent-gate: not found", status=127, stderr="")
            return self.gate
        self._expect(command)
        if command in questions(Manner("auto")):
            return b"*** Zstandard CLI (64-bit) v1.5.4, by Yann Collet ***\n"
        return self._answers[label(command)].read_bytes()

    def send(self, command: str, chunks: Iterator[bytes], stop: StopSignal | None = None) -> bytes:
        """Nothing recorded asks for input: a test that needs an answer overrides this."""
        self._expect(command)
        raise Undeclared(f"no answer was recorded to {b''.join(chunks)!r}: {command}")

    def converse(self, command: str, chunks: Iterator[bytes], stop: StopSignal | None = None) -> CannedStream:
        """What was recorded, whatever it is told."""
        return CannedStream(self.read(command))

    def to(self, address: Address) -> AbstractContextManager[Remote]:
        """Nothing was recorded elsewhere."""
        raise Undeclared(f"login to {address}")

    def _expect(self, command: str) -> None:
        if command not in self._declared:
            raise Undeclared(command)
        self.sent.append(command)

    def opened(self) -> AbstractContextManager[Remote]:
        """As `Puller` wants a host: to be entered."""
        return nullcontext(self)
