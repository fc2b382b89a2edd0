"""Whether a snapshot is suspiciously small."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pullagent.plausibility import PREDECESSORS, State, judge, must_stay_free

SIZES = st.integers(0, 10**15)


def good(sizes: list[int]) -> list[tuple[State, int]]:
    """Good snapshots of these sizes, newest first."""
    return [("good", size) for size in sizes]


def shrunk(sizes: list[int]) -> list[tuple[State, int]]:
    """Shrunk ones."""
    return [("shrunk", size) for size in sizes]


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
    judged = judge(size, good(earlier))
    assert judged.state == ("good" if usual is None else "shrunk")
    assert (f"usual {usual} bytes" in judged.warning) == (usual is not None)


@given(size=SIZES, earlier=st.lists(SIZES, max_size=9))
def test_a_snapshot_as_large_as_all_before_is_not_shrunk(size: int, earlier: list[int]) -> None:
    """No alarm when nothing became smaller."""
    assert judge(max([size, *earlier]), good(earlier)).state == "good"


@pytest.mark.parametrize(
    ("size", "last", "state"),
    [
        (40, [40, 40, 40, 40, 40], "good"),
        (40, [40, 38, 45, 30, 25], "good"),
        (40, [40, 40, 40, 40], "shrunk"),
        (40, [40, 40, 40, 40, 19], "shrunk"),
        (19, [40, 40, 40, 40, 40], "shrunk"),
        (0, [40, 40, 40, 40, 40], "shrunk"),
    ],
)
def test_five_that_agree_are_the_new_usual(size: int, last: list[int], state: State) -> None:
    """Data that were halved for good are shrunk five times, then good; sizes that differ among themselves are not."""
    judged = judge(size, shrunk(last) + good([100, 100, 100]))
    assert judged.state == state
    assert judged.warning


def test_the_new_usual_lasts() -> None:
    """After the change what is compared with are the new sizes alone, so that a later loss is seen as one."""
    history = shrunk([40] * 5) + good([100] * 5)
    for _ in range(9):
        judged = judge(40, history)
        assert judged.state == "good"
        history = [("good", 40), *history]
    assert not judge(40, history).warning
    assert judge(19, history).state == "shrunk"


@given(sizes=st.lists(st.integers(1, 1000), min_size=1, max_size=30))
def test_a_loss_is_told_five_times_before_it_is_usual(sizes: list[int]) -> None:
    """In every history, a good snapshot under half of a good one stands at least five shrunk ones after it."""
    history: list[tuple[State, int]] = []
    for size in sizes:
        state = judge(size, history).state
        last_good = next((n for n, (s, _) in enumerate(history) if s == "good"), None)
        if state == "good" and last_good is not None and all(s * 0.5 > size for t, s in history[:20] if t == "good"):
            assert last_good >= PREDECESSORS
        history = [(state, size), *history]


@given(before=st.lists(st.integers(100, 200), min_size=1, max_size=6), after=st.integers(0, 40))
def test_whatever_was_usual_a_lasting_change_settles(before: list[int], after: int) -> None:
    """No source stays shrunk for ever: the sixth snapshot of a new size is good."""
    history: list[tuple[State, int]] = []
    for size in [*before, *[after] * (PREDECESSORS + 1)]:
        history = [(judge(size, history).state, size), *history]
    assert history[0][0] == "good"
    assert [state for state, _ in history[1 : PREDECESSORS + 1]] == ["shrunk"] * PREDECESSORS


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
