"""How large a source will be if it grows on."""

from hypothesis import given
from hypothesis import strategies as st

from pullagent.drill.growth import Growth, growth_of
from tests.unit.standing import snapshot


def test_a_steady_source() -> None:
    """Sizes on a straight line give its slope, and 90 days of it are added to the last size."""
    growth = growth_of(snapshot(24 * day, kilobytes=100 - day) for day in range(14))
    kilobyte = snapshot(0, kilobytes=1).plain_bytes
    assert growth.bytes_a_day is not None
    assert kilobyte is not None
    assert round(growth.bytes_a_day) == kilobyte
    assert growth.projected(100_000) == 100_000 + 90 * kilobyte


def test_a_source_that_shrinks_is_taken_to_stay() -> None:
    """Nothing is projected to be smaller than it is."""
    growth = growth_of(snapshot(24 * day, kilobytes=100 + day) for day in range(5))
    assert growth.bytes_a_day is not None
    assert growth.bytes_a_day < 0
    assert growth.projected(100_000) == 100_000


def test_a_short_history_tells_nothing() -> None:
    """Under two days there is no growth to speak of, nor without any good snapshot."""
    assert growth_of([]) == Growth(None)
    assert growth_of([snapshot(1), snapshot(40, kilobytes=1)]) == Growth(None)
    assert growth_of(snapshot(24 * day, "shrunk", kilobytes=day + 1) for day in range(9)) == Growth(None)
    assert Growth(None).projected(7) == 7


@given(st.lists(st.tuples(st.integers(0, 9000), st.integers(0, 60)), max_size=14), st.integers(0, 10**15))
def test_any_history_projects_at_least_todays_size(history: list[tuple[int, int]], size: int) -> None:
    """Whatever the sizes were, in whatever order and at the same second."""
    assert growth_of(snapshot(hours, kilobytes=kilobytes) for hours, kilobytes in history).projected(size) >= size
