"""Streams cut into chunks, as a network may; and names that are safe."""

from collections.abc import Iterator, Sequence

from hypothesis import strategies as st

from pullagent.model import Check

_FIRST = "ABCZabcz0129_"
safe_names = st.builds(str.__add__, st.sampled_from(_FIRST), st.text(f"{_FIRST}.-", max_size=63))


def cut(data: bytes, places: Sequence[int]) -> Iterator[bytes]:
    """`data` in pieces that end at `places`; some may be empty."""
    start = 0
    for place in sorted({p % (len(data) + 1) for p in places}):
        yield data[start:place]
        start = place
    yield data[start:]


def places(most: int = 1 << 20) -> st.SearchStrategy[list[int]]:
    """Where to cut."""
    return st.lists(st.integers(0, most), max_size=12)


def judge(check: Check, chunks: Iterator[bytes]) -> None:
    """Feed a check to its end."""
    for chunk in chunks:
        check.feed(chunk)
    check.finish()
