"""Which secondary keys of a table may wait until its rows are loaded, and the statements that take and give them. Pure.

All of a table's non-unique BTREE keys or none: leaving out some would change their order in SHOW CREATE TABLE.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pullagent.sources.mysql.accounts import quote

_NAME = r"`((?:[^`]|``)+)`"
_KEY = re.compile(rf"^  (KEY {_NAME} .*?),?$", re.MULTILINE)
_LEADING = re.compile(rf"^  (?:PRIMARY KEY|UNIQUE KEY {_NAME}) \({_NAME}", re.MULTILINE)
_PRIMARY = re.compile(r"^  PRIMARY KEY \((.*?)\)", re.MULTILINE)
_AUTOMATIC = re.compile(rf"^  {_NAME} .*\bAUTO_INCREMENT\b", re.MULTILINE)
_REFERENCE = re.compile(rf"\bREFERENCES (?:{_NAME}\.)?{_NAME} \((.*?)\)")
_OTHER_KINDS = re.compile(r"^  (?:SPATIAL|VECTOR) KEY |^  KEY .* USING (?!BTREE)|^  PERIOD FOR ", re.MULTILINE)

Table = tuple[str, str]


@dataclass(frozen=True)
class Keys:
    """The keys of one table that can wait, as SHOW CREATE TABLE writes them, by name."""

    table: Table
    definitions: Mapping[str, str]

    @property
    def drop(self) -> str:
        """The statement that takes them."""
        return self._alter(f"DROP KEY {quote(name)}" for name in self.definitions)

    @property
    def add(self) -> str:
        """The statement that builds them."""
        return self._alter(f"ADD {definition}" for definition in self.definitions.values())

    @property
    def show(self) -> str:
        """The query for the table's definition."""
        return f"SHOW CREATE TABLE {_qualified(self.table)};"

    def _alter(self, acts: Iterable[str]) -> str:
        return f"ALTER TABLE {_qualified(self.table)} {', '.join(acts)};"


def keys_that_can_wait(structures: Mapping[Table, str]) -> list[Keys]:
    """For each table whose keys can wait, those keys; `structures` are the CREATE TABLE texts of all tables.

    The key of AUTO_INCREMENT cannot (the server refuses with 1075), nor can one that foreign keys refer to (150,
    6125). The server has the last word: it may refuse more.
    """
    parents = {parent for table, text in structures.items() for parent in _parents(table, text)}
    found = []
    for table, text in structures.items():
        definitions = {m[2].replace("``", "`"): m[1] for m in _KEY.finditer(text)}
        if definitions and _fit(text) and not any(_needs_key(p, table, text) for p in parents):
            found.append(Keys(table, definitions))
    return found


def _fit(text: str) -> bool:
    automatic = _AUTOMATIC.search(text)
    leading = {m[2] for m in _LEADING.finditer(text)}
    has_own_key = automatic is None or automatic[1] in leading
    return ") ENGINE=InnoDB" in text and not _OTHER_KINDS.search(text) and has_own_key


def _parents(table: Table, text: str) -> list[tuple[Table, str]]:
    """The tables that its foreign keys refer to, and the columns there."""
    return [
        ((m[1].replace("``", "`") if m[1] else table[0], m[2].replace("``", "`")), m[3])
        for m in _REFERENCE.finditer(text)
    ]


def _needs_key(parent: tuple[Table, str], table: Table, text: str) -> bool:
    """Whether a foreign key refers to columns of this table other than those its primary key begins with."""
    primary = _PRIMARY.search(text)
    return parent[0] == table and not (primary and f"{primary[1]},".startswith(f"{parent[1]},"))


def _qualified(table: Table) -> str:
    return f"{quote(table[0])}.{quote(table[1])}"
