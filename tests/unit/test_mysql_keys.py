"""Which keys may wait until the rows are there."""

import pytest

from pullagent.sources.mysql.keys import keys_that_can_wait

PLAIN = """CREATE TABLE `t` (
  `id` int NOT NULL AUTO_INCREMENT COMMENT 'KEY `x` (`y`)',
  `a` int DEFAULT NULL,
  `b``c` varchar(9) DEFAULT NULL,
  PRIMARY KEY (`id`),
  UNIQUE KEY `u` (`a`),
  KEY `a` (`a` DESC) /*!80000 INVISIBLE */,
  KEY `od``d` (`b``c`(4),`a`) USING BTREE COMMENT 'said, once',
  FULLTEXT KEY `f` (`b``c`)
) ENGINE=InnoDB AUTO_INCREMENT=3 DEFAULT CHARSET=utf8mb4;
"""
TABLE = ("d", "t")


def test_all_keys_of_a_plain_table() -> None:
    """Every non-unique key goes and comes back as it was written; others stay."""
    (keys,) = keys_that_can_wait({TABLE: PLAIN})
    assert keys.drop == "ALTER TABLE `d`.`t` DROP KEY `a`, DROP KEY `od``d`;"
    assert keys.add == (
        "ALTER TABLE `d`.`t` ADD KEY `a` (`a` DESC) /*!80000 INVISIBLE */, "
        "ADD KEY `od``d` (`b``c`(4),`a`) USING BTREE COMMENT 'said, once';"
    )
    assert keys.show == "SHOW CREATE TABLE `d`.`t`;"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("ENGINE=InnoDB", "ENGINE=MyISAM"),
        ("  FULLTEXT KEY", "  SPATIAL KEY"),
        ("PRIMARY KEY (`id`)", "PRIMARY KEY (`a`)"),
        ("USING BTREE", "USING HASH"),
        ("  KEY `", "  UNIQUE KEY `"),
    ],
)
def test_tables_that_are_loaded_plainly(old: str, new: str) -> None:
    """Other engines and kinds of keys, an AUTO_INCREMENT without a key of its own, and no keys at all."""
    assert old in PLAIN
    assert keys_that_can_wait({TABLE: PLAIN.replace(old, new)}) == []


@pytest.mark.parametrize(
    ("reference", "waits"),
    [("`t` (`id`)", True), ("`d`.`t` (`id`)", True), ("`t` (`a`)", False), ("`e`.`t` (`a`)", True)],
)
def test_what_foreign_keys_refer_to(reference: str, waits: bool) -> None:
    """A parent's keys wait only where the foreign keys refer to its primary key."""
    child = (
        "CREATE TABLE `child` (\n  `id` int NOT NULL,\n  PRIMARY KEY (`id`),\n"
        f"  CONSTRAINT `c` FOREIGN KEY (`id`) REFERENCES {reference}\n) ENGINE=InnoDB;\n"
    )
    found = keys_that_can_wait({TABLE: PLAIN, ("d", "child"): child})
    assert [k.table for k in found] == ([TABLE] if waits else [])
