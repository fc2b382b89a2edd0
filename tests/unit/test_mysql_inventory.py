"""What a server holds, compared with what a dump holds; and what a dump account must be granted."""

import json
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pullagent.checks.dump import DumpObject
from pullagent.errors import PullAgentError
from pullagent.sources.mysql.inventory import Inventory, Object, common, lacking, missing_grants, parse
from tests.vectors import ANSWERS, DUMPS

TABLE = Object("table", "d", "t", "InnoDB", 3, filled=True)
VIEW = Object("view", "d", "v", "VIEW")
EVENT = Object("event", "d", "e")
ALL = Inventory(("d",), (TABLE, VIEW, EVENT))
DUMPED = {TABLE.key, DumpObject("rows", "d", "t"), VIEW.key, EVENT.key}
names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)


def escaped(text: str) -> str:
    """As the client's batch mode writes a value."""
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\0", "\\0")


@given(
    name=names,
    database=names,
    kind=st.sampled_from(["BASE TABLE", "VIEW", "SEQUENCE", "PROCEDURE", "trigger", "event"]),
)
def test_any_name_is_read_back(name: str, database: str, kind: str) -> None:
    """Whatever characters names have, the inventory has them as the server does."""
    answer = "\t".join(map(escaped, [kind, database, name, "", ""])) + "\n"
    (found,) = parse(answer.encode()).objects
    assert (found.database, found.name) == (database, name)
    assert found.kind == {"BASE TABLE": "table"}.get(kind, kind.lower())


def test_each_kind_of_line_is_understood() -> None:
    """Databases, tables with their engines and rows, the rest, and which tables are filled."""
    answer = (
        b"database\td\t\t\t\nBASE TABLE\td\tt\tInnoDB\t3\nBASE TABLE\td\tu\tMyISAM\t\n"
        b"SYSTEM VERSIONED\td\tw\tInnoDB\t1\n"
        b"VIEW\td\tv\tView 'd.v' references invalid table(s)\t\nPACKAGE BODY\td\tp\t\t\nFUNCTION\td\tf\t\t\n"
        b"filled\td\tt\t1\t\nfilled\td\tu\t0\t\nfilled\td\tgone\t1\t\n"
    )
    assert parse(answer) == Inventory(
        ("d",),
        (
            Object("table", "d", "t", "InnoDB", 3, filled=True),
            Object("table", "d", "u", "MyISAM"),
            Object("table", "d", "w", "InnoDB", 1, versioned=True),
            Object("view", "d", "v", "View 'd.v' references invalid table(s)"),
            Object("package body", "d", "p"),
            Object("function", "d", "f"),
        ),
    )


@pytest.mark.parametrize("server", ["mariadb-10.11", "mysql-9.7"])
def test_a_recorded_answer_names_what_the_dump_holds(server: str) -> None:
    """The inventory of a real server, and the objects in its dump, are the same."""
    found = parse((ANSWERS / server / "inventory.txt").read_bytes())
    expected = {DumpObject(*o) for o in json.loads((DUMPS / f"{server}-agama.json").read_text())}
    assert found.databases == ("agama",)
    assert {o.key for o in found.objects} == {o for o in expected if o.kind != "rows"}
    assert {o.name for o in found.objects if o.filled} == {o.name for o in expected if o.kind == "rows"}
    assert lacking(found, found, expected) == []


@given(data=st.binary(max_size=80))
def test_any_answer_is_judged(data: bytes) -> None:
    """A host that answers nonsense gets an error of ours, not a crash."""
    with suppress(PullAgentError):
        parse(data)


@given(data=st.lists(st.tuples(names, names, names, st.booleans()), max_size=5))
def test_it_survives_its_json(data: list[tuple[str, str, str, bool]]) -> None:
    """inventory.json holds all of it."""
    objects = tuple(Object("table", d, n, e, 5, filled=f) for d, n, e, f in data)
    before = Inventory(("d", "e"), objects, tuple(n for _, n, _, _ in data))
    assert Inventory.from_json(json.loads(json.dumps(before.as_json()))) == before


def test_a_whole_dump_lacks_nothing() -> None:
    """Everything before, after and in the dump."""
    assert lacking(ALL, ALL, DUMPED) == []


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        (TABLE.key, "table d.t"),
        (VIEW.key, "view d.v"),
        (EVENT.key, "event d.e"),
        (DumpObject("rows", "d", "t"), "rows of d.t"),
    ],
)
def test_what_a_dump_lacks_is_named(missing: DumpObject, said: str) -> None:
    """An object, or the rows of a table that has some."""
    assert lacking(ALL, ALL, DUMPED - {missing}) == [said]


def test_objects_of_the_same_name_are_told_apart() -> None:
    """A procedure in another database, or a function of the same name, is another thing."""
    for other in (DumpObject("event", "other", "e"), DumpObject("function", "d", "e"), DumpObject("event", "d", "E")):
        assert lacking(ALL, ALL, DUMPED - {EVENT.key} | {other}) == ["event d.e"]


def test_changes_during_the_dump_are_no_loss() -> None:
    """What was dropped, made or emptied meanwhile raises no alarm."""
    emptied = Inventory(("d",), (replace(TABLE, filled=False), VIEW, EVENT))
    assert lacking(ALL, Inventory(("d",), (TABLE, EVENT)), DUMPED - {VIEW.key}) == []
    assert lacking(Inventory(("d",), (TABLE, EVENT)), ALL, DUMPED - {VIEW.key}) == []
    assert lacking(ALL, emptied, DUMPED - {DumpObject("rows", "d", "t")}) == []
    assert lacking(emptied, ALL, DUMPED - {DumpObject("rows", "d", "t")}) == []


def test_definers_and_what_views_read_are_understood() -> None:
    """Definers as the server names them; a view's other databases, but not its own or the system's."""
    found = parse(
        b"definer\t\to'b@10.0.%\t\t\n"
        b"reads\td\tv\tselect `d`.`t`.`a` from (`d`.`t` join `od``d`.`x`) join `mysql`.`user`\t\n"
    )
    assert found.definers == ("o'b@10.0.%",)
    assert found.reads == (("d.v", "od`d"),)


def test_what_a_dump_must_hold_is_common_to_before_and_after() -> None:
    """Objects of both moments, filled only if they were so both times: a restore can expect these alone."""
    emptied = replace(TABLE, filled=False)
    assert common(ALL, ALL) == ALL
    assert common(ALL, Inventory(("d",), (emptied, VIEW))).objects == (emptied, VIEW)
    assert common(Inventory(("d",), (emptied, EVENT)), ALL).objects == (emptied, EVENT)


USAGE = "GRANT USAGE ON *.* TO `b`@`%`"
DATABASE = "GRANT SELECT, SHOW VIEW, TRIGGER, EVENT ON `agama`.* TO `b`@`%`"
SYSTEM = "GRANT SELECT ON `mysql`.* TO `b`@`%`"
ROUTINES = "GRANT SHOW_ROUTINE ON *.* TO `b`@`%`"


def missing(
    *grants: str, mariadb: bool = True, accounts: bool = True, databases: tuple[str, ...] = ("agama",)
) -> list[str]:
    """What the account `b`@`%` still needs."""
    return missing_grants([USAGE, *grants], "b@%", databases, mariadb=mariadb, accounts=accounts)


@pytest.mark.parametrize(
    "grants",
    [
        (DATABASE, SYSTEM),
        ("GRANT ALL PRIVILEGES ON *.* TO `b`@`%` WITH GRANT OPTION",),
        ("GRANT SELECT, SHOW VIEW, TRIGGER, EVENT ON *.* TO `b`@`%`",),
        ("GRANT ALL PRIVILEGES ON `agama`.* TO `b`@`%`", SYSTEM),
        ("GRANT select, show view, trigger, event ON `agama`.* TO `b`@`%`", SYSTEM),
        ("GRANT SELECT, SHOW VIEW, TRIGGER, EVENT ON `%`.* TO `b`@`%`",),
        ("GRANT SELECT, SHOW VIEW, TRIGGER, EVENT ON `aga%`.* TO `b`@`%`", SYSTEM),
        ("GRANT SELECT, SHOW VIEW, TRIGGER, EVENT ON `agam_`.* TO `b`@`%`", SYSTEM),
        ("GRANT SELECT, SHOW VIEW ON `agama`.* TO `b`@`%`", "GRANT TRIGGER, EVENT ON *.* TO `b`@`%`", SYSTEM),
    ],
)
def test_enough_is_enough(grants: tuple[str, ...]) -> None:
    """Global, by database, by pattern, in parts, in any case."""
    assert missing(*grants) == []


@pytest.mark.parametrize(
    ("grants", "needed"),
    [
        ((SYSTEM,), ["GRANT SELECT, SHOW VIEW, TRIGGER, EVENT ON `agama`.* TO 'b'@'%';"]),
        ((DATABASE,), ["GRANT SELECT ON mysql.* TO 'b'@'%';"]),
        (
            ("GRANT SELECT ON `agama`.* TO `b`@`%`", SYSTEM),
            ["GRANT SHOW VIEW, TRIGGER, EVENT ON `agama`.* TO 'b'@'%';"],
        ),
        (
            ("GRANT SELECT (`id`), SHOW VIEW, TRIGGER, EVENT ON `agama`.`t` TO `b`@`%`", SYSTEM),
            ["GRANT SELECT, SHOW VIEW, TRIGGER, EVENT ON `agama`.* TO 'b'@'%';"],
        ),
        (
            ("GRANT SELECT, SHOW VIEW, TRIGGER, EVENT ON `Agama`.* TO `b`@`%`", SYSTEM),
            ["GRANT SELECT, SHOW VIEW, TRIGGER, EVENT ON `agama`.* TO 'b'@'%';"],
        ),
        (
            (r"GRANT SELECT, SHOW VIEW, TRIGGER, EVENT ON `agam\_`.* TO `b`@`%`", SYSTEM),
            ["GRANT SELECT, SHOW VIEW, TRIGGER, EVENT ON `agama`.* TO 'b'@'%';"],
        ),
        (
            ("GRANT `dumper` TO `b`@`%`", SYSTEM),
            ["GRANT SELECT, SHOW VIEW, TRIGGER, EVENT ON `agama`.* TO 'b'@'%';"],
        ),
        (
            (DATABASE, SYSTEM, "REVOKE SELECT ON `agama`.* FROM `b`@`%`"),
            ["(undo) REVOKE SELECT ON `agama`.* FROM `b`@`%`;"],
        ),
        (
            ("GRANT PROXY ON ``@`%` TO `b`@`%`", "GRANT EXECUTE ON PROCEDURE `agama`.`p` TO `b`@`%`", DATABASE),
            ["GRANT SELECT ON mysql.* TO 'b'@'%';"],
        ),
    ],
)
def test_what_is_missing_is_said_as_a_statement(grants: tuple[str, ...], needed: list[str]) -> None:
    """Ready to be pasted by root. Rights by a role do not count, and a revoke takes away."""
    assert missing(*grants) == needed


def test_masking_policies_need_a_right_of_their_own() -> None:
    """The dump program of MySQL 9.7 reads them from performance_schema."""
    needed = missing_grants(
        [USAGE, DATABASE, SYSTEM, ROUTINES], "b@%", ("agama",), mariadb=False, accounts=True, masking=True
    )
    assert needed == ["GRANT SELECT ON performance_schema.* TO 'b'@'%';"]


def test_routines_need_a_right_of_their_own() -> None:
    """MariaDB reads mysql.proc, MySQL asks for SHOW_ROUTINE or a global SELECT."""
    assert missing(DATABASE, accounts=False) == ["GRANT SELECT ON mysql.proc TO 'b'@'%';"]
    assert missing(DATABASE, "GRANT SELECT ON `mysql`.`proc` TO `b`@`%`", accounts=False) == []
    assert missing(DATABASE, mariadb=False, accounts=False) == ["GRANT SHOW_ROUTINE ON *.* TO 'b'@'%';"]
    assert missing(DATABASE, ROUTINES, mariadb=False, accounts=False) == []
    assert missing(DATABASE, "GRANT SELECT ON *.* TO `b`@`%`", mariadb=False, accounts=False) == []
    assert missing(DATABASE, SYSTEM, mariadb=False) == ["GRANT SHOW_ROUTINE ON *.* TO 'b'@'%';"]


@pytest.mark.parametrize(
    ("database", "pattern"),
    [
        ("shop_2", r"shop\_2"),
        ("shop_2", "shop_2"),
        ("100%", r"100\%"),
        ("a[b]c", "a[b]c"),
        ("a*c", "a*c"),
        ("a?c", "a?c"),
        ("back\\slash", "back\\\\slash"),
        ("odd`name", "odd``name"),
        ("it's", "it's"),
    ],
)
def test_a_pattern_means_its_database(database: str, pattern: str) -> None:
    """Escaped wildcards, and characters that are special elsewhere, stand for themselves."""
    grant = f"GRANT SELECT, SHOW VIEW, TRIGGER, EVENT ON `{pattern}`.* TO `b`@`%`"
    assert missing(grant, SYSTEM, databases=(database,)) == []


@pytest.mark.parametrize(
    ("database", "pattern"),
    [("shopX2", r"shop\_2"), ("axc", "a*c"), ("axc", "a?c"), ("ab", "a[b]"), ("100x", r"100\%")],
)
def test_a_pattern_means_no_other_database(database: str, pattern: str) -> None:
    """Only `%` and `_` are wildcards."""
    grant = f"GRANT SELECT, SHOW VIEW, TRIGGER, EVENT ON `{pattern}`.* TO `b`@`%`"
    assert missing(grant, SYSTEM, databases=(database,))


def test_a_name_with_quotes_is_quoted_in_the_statement() -> None:
    """The hint can be pasted whatever the names are."""
    (first, *_) = missing_grants([], "o'b@10.0.%", ("it`s",), mariadb=True, accounts=True)
    assert first == "GRANT SELECT, SHOW VIEW, TRIGGER, EVENT ON `it``s`.* TO 'o''b'@'10.0.%';"
