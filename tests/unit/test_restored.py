"""How what came back is summed up."""

from pullagent.cli.restored import summary
from pullagent.sources.base import Restored


def test_equal_things_are_one_line_for_each_kind() -> None:
    """Counts of objects and rows, one thing in the singular; what differs is in none of the lines."""
    objects = [
        *(Restored(f"agama.t{n}", "table", 1_000, 1_000) for n in range(44)),
        Restored("agama.lost", "table", 7, 0),
        Restored("agama.v", "view", "present", "present"),
        *(Restored(f"logs.autogen.{n}", "field values", 3, 3) for n in range(2)),
        Restored("agama", "next dump", "possible", "possible"),
    ]
    assert summary(objects) == [
        "44 tables, 44,000 rows: equal",
        "1 view: equal",
        "2 measurements, 6 values: equal",
        "the next dump: possible",
    ]
