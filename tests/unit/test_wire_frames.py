"""A zstd frame from a host: taken whole and sound, or refused by what is wrong with it."""

import random
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from pullagent.errors import CommandFailed, ContentError, HostError
from pullagent.model import Packed
from pullagent.wire.choice import Choice
from pullagent.wire.frames import Frame
from pullagent.wire.remote import Wire
from tests.unit.memory import peak_growth

COMMAND = "# pullagent: dump of x\necho x"
TEXT = b"".join(b"INSERT INTO purchases VALUES (%d,'someone',%d);\n" % (n, n * 7919) for n in range(20_000))


class Sent:
    """A host that sends these chunks, and then fails if it is to."""

    converse: Any = None
    to: Any = None

    def __init__(self, chunks: Iterable[bytes], error: CommandFailed | None = None) -> None:
        self.name, self.stderr, self.status = "h", "", 0
        self._chunks, self._error = chunks, error

    def open(self, command: str, good: tuple[int, ...] = (0,)) -> "Sent":
        """The stream is this."""
        return self

    def read(self, command: str, limit: int = 0) -> bytes:
        """Nothing is asked."""
        raise AssertionError(command)

    def send(self, command: str, chunks: Iterator[bytes], stop: object = None) -> bytes:
        """Nothing is sent."""
        raise AssertionError(command)

    def __iter__(self) -> Iterator[bytes]:
        yield from self._chunks
        if self._error:
            raise self._error


def unpacked(chunks: Iterable[bytes], error: CommandFailed | None = None) -> Iterator[Packed]:
    """The chunks that a source is given when a host sends these."""
    for chunk in Wire(Sent(chunks, error), (COMMAND,), Choice(True)).open(COMMAND):
        assert isinstance(chunk, Packed)
        yield chunk


def stock(data: bytes, *options: str) -> bytes:
    """What the zstd program makes of it."""
    return subprocess.run(["zstd", "-q", "-c", *options], input=data, capture_output=True, check=True).stdout


def cut(data: bytes, size: int) -> list[bytes]:
    """In chunks."""
    return [data[at : at + size] for at in range(0, len(data), size)]


WHOLE = stock(TEXT, "--single-thread", "-3", "--check")


@pytest.mark.parametrize("size", [1, 7, 1013, 1 << 16, 1 << 20])
@pytest.mark.parametrize(
    "data",
    [b"", b"x", TEXT, TEXT * 12, bytes(9 << 20), random.Random(1).randbytes(3 << 20)],
    ids=["empty", "one byte", "text", "long", "zeros", "noise"],
)
def test_what_the_zstd_program_sends(data: bytes, size: int) -> None:
    """However the network cuts it: the plain bytes come, and with them, in order and all, those that were sent."""
    frame = stock(data, "--single-thread", "-3", "--check")
    if len(frame) // size > 200_000:
        return
    chunks = list(unpacked(cut(frame, size)))
    assert b"".join(chunks) == data
    assert b"".join(chunk.packed for chunk in chunks) == frame
    assert [chunk.at for chunk in chunks] == [sum(len(c.packed) for c in chunks[:n]) for n in range(len(chunks))]
    assert [chunk.last for chunk in chunks] == [False] * (len(chunks) - 1) + [True]


@given(data=st.binary(max_size=400), level=st.integers(1, 9), sizes=st.booleans(), at=st.integers(1, 50))
@settings(max_examples=60, deadline=None)
def test_any_frame_of_the_library(data: bytes, level: int, sizes: bool, at: int) -> None:
    """With its size in its head or not, in one segment or in several: the format has more than one head."""
    parameters = zstandard.ZstdCompressionParameters.from_level(level, write_checksum=1, write_content_size=sizes)
    frame = zstandard.ZstdCompressor(compression_params=parameters).compress(data)
    assert b"".join(unpacked(cut(frame, at))) == data


@pytest.mark.parametrize("size", [255, 256, 257, 65_791, 65_792, 70_000, 3 << 20])
def test_heads_of_every_length(size: int) -> None:
    """The length of what follows stands in one, two, four or no bytes."""
    data = TEXT[:size] if size < len(TEXT) else bytes(size)
    for known in (True, False):
        parameters = zstandard.ZstdCompressionParameters.from_level(3, write_checksum=1, write_content_size=known)
        frame = zstandard.ZstdCompressor(compression_params=parameters).compress(data)
        assert b"".join(unpacked([frame])) == data


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_a_cut_frame(data: st.DataObject) -> None:
    """At whatever byte it ends early: refused, though the command ended well."""
    end = data.draw(st.integers(0, len(WHOLE) - 1))
    with pytest.raises(ContentError, match="cut short"):
        list(unpacked([WHOLE[:end]]))


@pytest.mark.parametrize("more", [b"\0", b"logout\n", WHOLE, stock(b""), b"\x50\x2a\x4d\x18\x04\0\0\0abcd"], ids=repr)
def test_what_follows_the_end(more: bytes) -> None:
    """Garbage, a further frame, and one that is to be skipped: refused, in the same chunk or in the next."""
    for chunks in ([WHOLE + more], [WHOLE, more]):
        with pytest.raises(ContentError, match="follow the end"):
            list(unpacked(chunks))


@pytest.mark.parametrize(
    "begin", [b"Welcome!\n", b"hi", b"-- MariaDB dump", b"\x50\x2a\x4d\x18\x04\0\0\0abcd" + WHOLE, b"\x28\xb5x"]
)
def test_what_stands_ahead(begin: bytes) -> None:
    """A login script's words, a dump in clear, a frame to be skipped: refused at once, with where to look."""
    with pytest.raises(ContentError, match="not what zstd writes") as told:
        list(unpacked([begin, bytes(100)]))
    assert "login script" in told.value.hint


def test_a_window_that_takes_too_much_memory() -> None:
    """Refused before any of it is decompressed."""
    frame = stock(TEXT, "--long=24", "--check")
    with pytest.raises(ContentError, match="window of more than 8 MiB"):
        list(unpacked([frame[:20]]))
    assert b"".join(unpacked([stock(TEXT, "--long=23", "--check")])) == TEXT


def test_a_segment_longer_than_the_window() -> None:
    """A frame in a single segment has no window, and needs memory for all of it."""
    head = b"\x28\xb5\x2f\xfd" + bytes([0b1010_0100]) + ((8 << 20) + 1).to_bytes(4, "little")
    with pytest.raises(ContentError, match="window of more than 8 MiB"):
        list(unpacked([head]))


def test_a_frame_without_a_checksum() -> None:
    """What is stored has one."""
    with pytest.raises(ContentError, match="no checksum"):
        list(unpacked([stock(TEXT, "--no-check")]))


def test_a_dictionary() -> None:
    """What no stock program could open without it is not stored."""
    samples: list[bytes | bytearray | memoryview] = [*cut(TEXT, 100)]
    words = zstandard.train_dictionary(2000, samples)
    frame = zstandard.ZstdCompressor(
        dict_data=words,
        compression_params=zstandard.ZstdCompressionParameters.from_level(3, write_checksum=1, write_dict_id=1),
    ).compress(TEXT)
    with pytest.raises(ContentError, match="dictionary"):
        list(unpacked([frame]))


@given(at=st.integers(5, len(WHOLE) - 1), bit=st.integers(0, 7))
@settings(max_examples=80, deadline=None)
def test_a_flipped_bit(at: int, bit: int) -> None:
    """Refused for one reason or another, but for a bit of the window's size that means nothing to the content."""
    spoilt = bytearray(WHOLE)
    spoilt[at] ^= 1 << bit
    try:
        content = b"".join(unpacked([bytes(spoilt)]))
    except ContentError:
        return
    assert (at, content) == (5, TEXT)


@given(st.binary(max_size=300))
@settings(max_examples=200, deadline=None)
def test_any_bytes(data: bytes) -> None:
    """Behind a sound head too: no error but the one that says so."""
    for chunk in (data, WHOLE[:6] + data):
        with suppress(ContentError):
            list(unpacked([chunk]))


def test_a_bomb_in_small_pieces() -> None:
    """A few kilobytes that stand for gigabytes are taken in pieces of a megabyte, and cost no more memory."""
    # blocks of one byte that is repeated 128 KiB long
    bomb = WHOLE[:6] + ((128 << 10) << 3 | 1 << 1).to_bytes(3, "little").join([b"", *[b"\0"] * 16_000])

    def most() -> int:
        pieces = unpacked([bomb])
        return max(len(next(pieces)) for _ in range(1500))

    assert len(bomb) < 100_000
    sizes: list[int] = []
    assert peak_growth(lambda: sizes.append(most())) < 12 << 20
    assert sizes[0] <= 9 << 17


def test_blocks_that_hold_nothing() -> None:
    """They could come for ever, and would all be held until something is in one."""

    def read() -> None:
        with pytest.raises(ContentError, match="goes on, and holds nothing"):
            list(unpacked([WHOLE[:6], *[bytes(3 << 16)] * 1000]))

    assert peak_growth(read) < 12 << 20
    # some are no harm
    empty = WHOLE[:6] + bytes(3000) + WHOLE[6:]
    assert b"".join(unpacked([empty])) == TEXT


def test_pieces_are_what_came() -> None:
    """Nothing is left out or changed between them."""
    frame = Frame()
    assert b"".join(piece for chunk in cut(WHOLE, 5003) for piece in frame.pieces(chunk)) == WHOLE
    assert frame.ended


def test_a_failed_command_is_told_as_it_was() -> None:
    """The frame is whole, since zstd ended well; the status is the dump's, and so is the error."""
    error = CommandFailed("h: status 2 from dump of x: no", status=2, stderr="mysqldump: no")
    with pytest.raises(CommandFailed) as told:
        list(unpacked([stock(b"half")], error))
    assert told.value is error


@pytest.mark.parametrize(
    ("status", "hint"), [(137, "out of memory"), (127, "apt-get install zstd"), (1, 'wire = "plain"')]
)
def test_a_failed_compressor_is_no_failed_dump(status: int, hint: str) -> None:
    """What the dump says of its broken pipe is not judged as the database's trouble."""
    said = f"mysqldump: Got errno 32 on write\npullagent: zstd ended with status {status}\n"
    with pytest.raises(HostError, match=f"zstd there ended with status {status}: mysqldump: Got errno 32") as told:
        list(unpacked([WHOLE[:100]], CommandFailed("h: status 121", status=121, stderr=said)))
    assert not isinstance(told.value, CommandFailed)
    assert hint in told.value.hint


def test_a_source_that_fails_with_the_same_status() -> None:
    """It is the compressor only if the shell around it says so."""
    error = CommandFailed("h: status 121", status=121, stderr="no such thing")
    with pytest.raises(CommandFailed) as told:
        list(unpacked([stock(b"")], error))
    assert told.value is error


def test_plain_streams_pass_untouched() -> None:
    """Nothing stands between a host and a source where nothing is asked for."""
    sent = Sent(cut(TEXT, 999))
    assert Wire(sent, (COMMAND,), Choice(False)).open(COMMAND) is sent
    assert Wire(sent, (), Choice(True)).open(COMMAND) is sent
