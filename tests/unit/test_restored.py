"""How what came back is summed up."""

from pullagent.cli.restored import figures, news, summary
from pullagent.sources.base import Restored


def test_equal_things_are_one_line_for_each_kind() -> None:
    """Counts of objects and rows, one thing in the singular; what differs is in none of the lines."""
    objects = [
        *(Restored(f"agama.t{n}", "table", 1_000, 1_000) for n in range(44)),
        Restored("agama.lost", "table", 7, 0),
        Restored("agama.v", "view", "present", "present"),
        *(Restored(f"logs.autogen.{n}", "field values", 3, 3) for n in range(2)),
        *(Restored(f"agama.{n}", "trigger", "present", "present") for n in range(2)),
        Restored("agama", "next dump", "possible", "possible"),
    ]
    assert summary(objects) == [
        "44 tables, 44,000 rows: equal",
        "2 measurements, 6 values: equal",
        "1 view, 2 triggers: equal",
        "the next dump: possible",
    ]


def test_what_is_said_of_several_is_said_once() -> None:
    """Objects of which the same is told share a line; what has lines of its own is set in below its name."""
    told = [
        Restored("a@h", "account", None, "existed already, left alone"),
        Restored("b@h", "account", None, "existed already, left alone"),
        Restored("boss", "user", None, "made anew"),
        Restored("/etc/x", "configuration file", None, "differs:\n+a"),
    ]
    assert news(told) == [
        "accounts existed already, left alone: a@h, b@h",
        "user boss: made anew",
        "configuration file /etc/x: differs:\n    +a",
    ]


def test_what_was_compared_is_told_in_its_own_units() -> None:
    """Rows, values, entries of a tree and files of a working copy; what is only told is not counted."""
    tree = [Restored("/etc", "tree", 1_299, 1_299), Restored("/home/a/x", "directory", None, "holds what came back")]
    assert figures(tree) == "1 object, 1,299 entries"
    assert summary(tree[:1]) == ["1 tree, 1,299 entries: equal"]
    assert figures([Restored("t", "table", 2_000, 2_000), Restored("v", "view", "present", "present")]) == (
        "2 objects, 2,000 rows"
    )
    clone = Restored("working copy", "working copy", 12, 12)
    assert (figures([clone]), summary([clone])) == (
        "1 object, 12 files",
        ["1 working copy, 12 files: equal"],
    )
