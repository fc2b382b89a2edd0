"""TarReader against archives that the tarfile module wrote, and against damaged ones."""

import io
import tarfile
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pullagent.checks.tar import TarCheck, TarReader
from pullagent.errors import ContentError
from tests.unit.archives import END, FORMATS, bare_tar, gnu_tar, go_tar, member
from tests.unit.cuts import cut, judge, places

_LETTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\0/\n")
names = st.lists(st.text(_LETTERS, min_size=1, max_size=90), min_size=1, max_size=4).map("/".join)
contents = st.dictionaries(names, st.binary(max_size=1500), max_size=6)
formats = st.sampled_from([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])


class Reading:
    """A reader that keeps what it reads."""

    def __init__(self, record: int = 512) -> None:
        self.members: dict[str, bytes] = {}
        self.ended: list[str] = []
        self._reader = TarReader(self._member, record)

    def _member(self, name: str, size: int) -> Callable[[bytes], None]:
        self.members[name] = b""

        def sink(part: bytes) -> None:
            self.members[name] += part
            if not part:
                assert len(self.members[name]) == size
                self.ended.append(name)

        return sink

    def read(self, data: bytes, cuts: list[int] | None = None) -> dict[str, bytes]:
        """The regular members of a whole archive; ContentError passes."""
        judge(self._reader, cut(data, cuts or []))
        assert sorted(self.ended) == sorted(self.members)
        return self.members


@given(members=contents, form=formats, cuts=places(20_000))
def test_members_are_read_as_written(members: dict[str, bytes], form: int, cuts: list[int]) -> None:
    """Names, sizes and contents come out as they went in, in GNU and pax archives, however the stream is cut."""
    assert Reading().read(gnu_tar(members, form), cuts) == members


NAMES = st.text("abcdef._-", min_size=1, max_size=90).filter(lambda name: name != "..")


@given(members=st.dictionaries(NAMES, st.binary(max_size=600), max_size=5))
@example(members={f"{'d' * 120}/{'f' * 90}": b"prefix"})
def test_ustar_members_are_read_as_written(members: dict[str, bytes]) -> None:
    """Plain ustar archives too, with long names split over two fields."""
    assert Reading().read(go_tar(members, tarfile.USTAR_FORMAT)) == members


@pytest.mark.parametrize("form", FORMATS.values(), ids=FORMATS)
def test_an_empty_archive_is_whole(form: int) -> None:
    """An archive without members is two zero blocks."""
    assert Reading().read(go_tar({}, form)) == {}


@given(name=st.text("ab\n=0123456789 path", min_size=101, max_size=300).filter(lambda t: "/" not in t))
@example(name="a" * 120 + "\n12 path=evil\n")
def test_a_pax_name_with_line_breaks_is_one_name(name: str) -> None:
    """Pax records are told apart by their lengths: a name may hold what looks like another record."""
    assert Reading().read(gnu_tar({name: b"x"}, tarfile.PAX_FORMAT)) == {name: b"x"}


def test_a_size_in_base_256_is_read() -> None:
    """GNU tar writes sizes of 8 GiB and more in base 256."""
    block = bytearray(member("big", size=700))
    block[124:136] = b"\x80" + (700).to_bytes(11)
    data = with_checksum(block) + b"x" * 700 + bytes(-700 % 512) + END
    assert Reading().read(data) == {"big": b"x" * 700}


def test_a_size_in_a_pax_record_is_read() -> None:
    """Pax archives hold sizes of 8 GiB and more in a record of their own, and 0 in the header."""
    record = b"12 size=700\n"
    data = member("PaxHeaders/big", tarfile.XHDTYPE, size=len(record)) + record + bytes(512 - len(record))
    data += member("big", size=0) + b"x" * 700 + bytes(-700 % 512) + END
    assert Reading().read(data) == {"big": b"x" * 700}


def test_other_members_are_passed_over() -> None:
    """Directories, links and devices have no content and are no regular members."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for kind in (tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE):
            info = tarfile.TarInfo(f"kind{kind.decode()}")
            info.type, info.linkname = kind, "x" * 150
            archive.addfile(info)
        info = tarfile.TarInfo("file")
        info.size = 3
        archive.addfile(info, io.BytesIO(b"abc"))
    assert Reading().read(out.getvalue()) == {"file": b"abc"}


@pytest.mark.parametrize("form", FORMATS.values(), ids=FORMATS)
def test_an_archive_cut_at_any_byte_is_refused(form: int) -> None:
    """Nothing shorter than the whole is whole, to the last of the zero blocks."""
    data = go_tar({"a": b"x" * 700, "b": b"", "n" * 90: b"y" * 512}, form)
    assert Reading().read(data)
    for length in range(len(data)):
        with pytest.raises(ContentError):
            Reading().read(data[:length])


def test_a_record_cut_short_is_refused() -> None:
    """Where tar writes records of 10,240 bytes, an archive ends with a whole one."""
    data = gnu_tar({"a": b"x" * 12_000})
    for length in range(0, len(data), 512):
        with pytest.raises(ContentError):
            judge(TarCheck(), cut(data[:length], []))
    judge(TarCheck(), cut(data, []))


def test_a_flipped_bit_in_a_header_is_refused() -> None:
    """Every bit of a header is under its checksum."""
    data = bare_tar({"name": b"content"})
    for position in set(range(512)) - {154, 155}:  # the checksum's own terminators may vary
        for bit in (1, 0x40):
            broken = bytearray(data + END)
            broken[position] ^= bit
            with pytest.raises(ContentError):
                Reading().read(bytes(broken))


@pytest.mark.parametrize(
    "data",
    [
        b"Welcome to this host\n" + go_tar({"a": b"1"}),
        go_tar({"a": b"1"}) + b"tail",
        go_tar({"a": b"1"}) + go_tar({"b": b"2"}),
        bare_tar({"a": b"1"}) + bytes(512) + bare_tar({"b": b"2"}) + END,
        b"\0" * 700,
        b"x" * 2048,
        b"",
        b"\x1f\x8b" + b"\0" * 1022,
    ],
    ids=["banner", "tail", "second archive", "blank header", "half a block", "text", "nothing", "gzip"],
)
def test_what_is_no_archive_is_refused(data: bytes) -> None:
    """A banner, a tail, a blank header or anything else is not an archive."""
    with pytest.raises(ContentError):
        Reading().read(data)


@given(data=st.binary(max_size=4096), cuts=places(4096))
def test_any_bytes_are_judged_not_crashed_on(data: bytes, cuts: list[int]) -> None:
    """Whatever comes, the reader accepts it or raises ContentError."""
    try:
        Reading().read(data, cuts)
    except ContentError:
        return
    assert not data.strip(b"\0")


@given(field=st.binary(min_size=12, max_size=12))
def test_any_size_field_is_judged(field: bytes) -> None:
    """A size that is no number, or negative, is refused."""
    block = bytearray(member("a", size=1))
    block[124:136] = field
    with pytest.raises(ContentError):
        Reading().read(with_checksum(block) + b"x")


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.XGLTYPE])
def test_a_name_without_end_is_refused(kind: bytes) -> None:
    """A long-name member of more than 64 KiB would have to be held in memory."""
    with pytest.raises(ContentError, match="bytes long"):
        Reading().read(member("x", kind, size=(1 << 20) + 1))


def with_checksum(block: bytearray) -> bytes:
    """A header with the checksum that its content asks for."""
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)
