"""Whether a snapshot is suspiciously small."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pullagent.plausibility import must_stay_free, shrunk_from


@pytest.mark.parametrize(
    ("size", "earlier", "usual"),
    [
        (0, [], None),
        (10, [100], 100),
        (50, [100], None),
        (49, [100], 100),
        (1000, [100], None),
        (40, [10, 100, 100], 100),
        (40, [90, 100, 110, 100, 100, 1, 1, 1], 100),
        (0, [0, 0], None),
        (1, [0], None),
    ],
)
def test_under_half_of_the_usual_is_shrunk(size: int, earlier: list[int], usual: int | None) -> None:
    """The median of up to five predecessors is the usual size; one odd one among them does not count."""
    assert shrunk_from(size, earlier) == usual


@given(size=st.integers(0, 10**15), earlier=st.lists(st.integers(0, 10**15), max_size=9))
def test_a_snapshot_as_large_as_all_before_is_not_shrunk(size: int, earlier: list[int]) -> None:
    """No alarm when nothing became smaller."""
    assert shrunk_from(max([size, *earlier]), earlier) is None


@given(
    capacity=st.integers(1, 10**15),
    percent=st.floats(0, 50),
    written=st.integers(0, 10**15),
    largest=st.integers(0, 10**15),
)
def test_what_is_larger_than_ever_must_leave_twice_as_much(
    capacity: int, percent: float, written: int, largest: int
) -> None:
    """A share of the disk stays free; a stream of over twice its source's largest must leave twice that."""
    share = must_stay_free(capacity, percent, 0, largest)
    assert 0 <= share <= capacity / 2
    assert must_stay_free(capacity, percent, written, largest) == share * (2 if written > 2 * largest else 1)
