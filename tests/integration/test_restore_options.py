"""The ways to restore: side by side or plainly, in place of what is there, under another name, in part."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration import places
from tests.integration.agent import AGAMA
from tests.integration.places import PRODUCTS
from tests.integration.wrappers import CLIENTS, wrap
from tests.lab.data import checksums
from tests.lab.mariadb import MariaDB
from tests.lab.mysql import MySQL

# for what does not depend on how a product writes its dumps
one_product = pytest.mark.parametrize("place", [MariaDB], indirect=True, scope="module")
ROWS, FEW = 40_000, 500
LARGE = f"""
CREATE TABLE `large one` (
  `id` INT NOT NULL AUTO_INCREMENT PRIMARY KEY, `a` INT, `b` VARCHAR(60), `text` VARCHAR(400),
  UNIQUE KEY `u` (`a`), KEY `b` (`b`(20)), KEY `both` (`b`, `a` DESC), FULLTEXT KEY `words` (`text`)
) ENGINE=InnoDB;
CREATE TABLE `the child` (
  `id` INT NOT NULL PRIMARY KEY, `parent` INT, `x` INT, `text` VARCHAR(400),
  KEY `parent` (`parent`), KEY `x` (`x`), CONSTRAINT `c` FOREIGN KEY (`parent`) REFERENCES `large one` (`id`)
) ENGINE=InnoDB;
CREATE TABLE `odd counter` (
  `n` INT NOT NULL AUTO_INCREMENT, `x` INT, `text` VARCHAR(400), KEY `n` (`n`), KEY `x` (`x`)
) ENGINE=InnoDB;
SET SESSION max_recursive_iterations = {ROWS + 1};
INSERT INTO `large one` (`a`, `b`, `text`)
  WITH RECURSIVE s AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM s WHERE n < {ROWS})
  SELECT n, CONCAT('b', n % 97), CONCAT('(1),(2', REPEAT('x ', 110), n) FROM s;
INSERT INTO `the child` SELECT `id`, `id`, `a` % 13, `text` FROM `large one` WHERE `id` <= {FEW};
INSERT INTO `odd counter` (`x`, `text`) SELECT `a` % 17, `text` FROM `large one` WHERE `id` <= {FEW};
"""


class Place(places.Place):
    """A host with large tables, its backup server with one snapshot, and what the database held."""

    def __init__(self, directory: Path, kind: type[MariaDB] | type[MySQL]) -> None:
        super().__init__(directory, kind)
        settings = LARGE if kind is MariaDB else LARGE.replace("max_recursive_iterations", "cte_max_recursion_depth")
        self.host.server.load(settings, "agama")
        self.agent.call("run").succeeded()
        self.before = checksums(self.host.server)

    def rows(self, database: str = "agama") -> dict[str, str]:
        """The hashes of all rows of a database."""
        found = checksums(self.host.server, [database], accounts=False)
        return {k.partition(".")[2]: v for k, v in found.items() if k.startswith("rows ")}


@pytest.fixture(scope="module", params=PRODUCTS)
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """One for each product."""
    with Place.of(request, tmp_path_factory) as made:
        yield made


def empty(place: Place) -> None:
    """A rebuilt VM with the same host key."""
    place.host.rebuild(new_host_key=False)


def loading(place: Place, program: str) -> None:
    """Have what is loaded go through a program of the host."""
    script = f'case "$*" in *--binary-mode*) {program} | {{real}} "$@"; exit ;; esac\nexec {{real}} "$@"'
    wrap(place.agent, CLIENTS, script)


def test_side_by_side_is_what_plain_is(place: Place) -> None:
    """Both ways give the same definitions and rows as there were; only the first takes keys of large tables away."""
    added = {}
    for options in ((), ("--plain",)):
        empty(place)
        spy = place.host.directory / f"statements{len(options)}"
        spy.write_bytes(b"")
        wrap(
            place.agent,
            CLIENTS,
            f'case "$*" in *--binary-mode*) tee -a {spy} | {{real}} "$@"; exit ;; esac\nexec {{real}} "$@"',
        )
        report = place.agent.restore(f"{AGAMA}@latest", "--json", *options).succeeded().json
        place.host.sshd.farm.reset()
        assert report["ok"] is True
        assert checksums(place.host.server) == place.before
        added[options] = set(re.findall(rb"\nALTER TABLE `agama`\.`(.*?)` ADD KEY", spy.read_bytes()))
        counted = {o["name"]: o["found"] for o in report["objects"] if o["kind"] == "table"}
        assert (counted["agama.large one"], counted["agama.odd counter"]) == (ROWS, FEW)
    assert added["--plain",] == set()
    assert added[()] == {b"large one"}


@one_product
def test_a_dry_run_touches_nothing(place: Place) -> None:
    """It shows what it looked at: 0 where the restore could go on, 1 where it could not, and the same things there."""
    before = checksums(place.host.server)
    done = place.agent.restore(f"{AGAMA}@latest", "--dry-run")
    assert done.code == 1
    assert "is not empty: it holds" in done.out
    found = place.agent.restore(f"{AGAMA}@latest", "--dry-run", "--replace", "--json").succeeded().json
    results = {c["name"]: c["result"] for c in found["checks"]}
    assert results["stored files"] == results["identity"] == results["SSH login"] == results["free space"] == "ok"
    assert results["target"] == "warn"
    assert found["objects"] == []
    assert checksums(place.host.server) == before


@one_product
def test_replace(place: Place) -> None:
    """What stands in the database's place is dropped, strangers too, and everything is as it was."""
    place.host.server.load("CREATE TABLE agama.stranger (id INT); DELETE FROM agama.audit; DROP VIEW agama.big_summary")
    place.agent.restore(f"{AGAMA}@latest").failed(1, "is not empty", "--replace")
    done = place.agent.restore(f"{AGAMA}@latest", "--replace").succeeded()
    assert "DROPPED" in done.out
    assert checksums(place.host.server) == place.before


def test_another_name(place: Place) -> None:
    """With --into the rows come into a database of that name; the one of the snapshot's name is left alone."""
    before = checksums(place.host.server)
    report = place.agent.restore(f"{AGAMA}@latest", "--into", "agama copy", "--json").succeeded().json
    assert report["ok"] is True
    assert place.rows("agama copy") == place.rows()
    assert {k: v for k, v in checksums(place.host.server).items() if "agama copy" not in k} == before
    place.agent.restore(f"{AGAMA}@latest", "--into", "agama copy").failed(1, "agama copy is not empty", "--replace")
    place.host.server.load("DROP DATABASE `agama copy`")


def test_what_comes_while_it_asks_is_kept(place: Place) -> None:
    """An application that fills the target between the look and the answer loses nothing."""

    def filled() -> str:
        place.host.server.load(
            "CREATE DATABASE later; CREATE TABLE later.orders (id INT); INSERT INTO later.orders VALUES (7)"
        )
        return "yes\n"

    done = place.agent.restore_asked(f"{AGAMA}@latest", "--into", "later", answer=filled)
    assert done.code == 1
    assert "since the target was looked at" in done.screen
    assert place.host.server.query("SELECT id FROM later.orders") == [("7",)]
    place.host.server.load("DROP DATABASE later")


@one_product
@pytest.mark.parametrize("name", ["mysql", "SYS", "a`b"])
def test_a_name_that_no_restore_may_have(place: Place, name: str) -> None:
    """The server's own databases cannot be named, with or without --replace."""
    for option in ((), ("--replace",)):
        place.agent.restore(f"{AGAMA}@latest", "--into", name, *option).failed(2, "--into: found")
    assert int(place.host.server.query("SELECT COUNT(*) FROM mysql.user")[0][0]) > 1


@one_product
def test_one_table(place: Place) -> None:
    """With --table only what is named is loaded, with its triggers; a table in the way is dropped only when told so."""
    server = place.host.server
    server.load("DELETE FROM agama.customer WHERE id < 3; DELETE FROM agama.audit")
    kept = checksums(server)
    options = ("--table", "customer", "--table", "agama.the child", "--json")
    place.agent.restore(f"{AGAMA}@latest", *options).failed(1, "is not empty", "--replace")
    report = place.agent.restore(f"{AGAMA}@latest", *options, "--replace").succeeded().json
    assert {o["name"] for o in report["objects"] if o["kind"] == "table"} == {"agama.customer", "agama.the child"}
    changed = {k for k, v in checksums(server).items() if kept.get(k) != v}
    assert "rows agama.customer" in changed
    assert not {k for k in changed if "customer" not in k and "purchase" not in k}
    assert checksums(server)["rows agama.customer"] == place.before["rows agama.customer"]
    place.agent.restore(f"{AGAMA}@latest", "--table", "custommer").failed(2, "no table 'custommer'", "customer")
    place.agent.restore(f"{AGAMA}@latest", "--replace").succeeded()


@one_product
def test_schema_only(place: Place) -> None:
    """With --schema-only everything is there but rows."""
    place.agent.restore(f"{AGAMA}@latest", "--replace", "--schema-only").succeeded()
    now = checksums(place.host.server)
    assert {k for k in place.before if k.startswith("rows ")} == {k for k in now if k.startswith("rows ")}
    definitions = {k: v for k, v in place.before.items() if not k.startswith(("rows ", "table ", "sequence "))}
    assert {k: now[k] for k in definitions} == definitions
    assert place.host.server.query("SELECT COUNT(*) FROM agama.customer") == [("0",)]
    place.agent.restore(f"{AGAMA}@latest", "--replace").succeeded()


def test_one_row_that_did_not_come_back_is_found(place: Place) -> None:
    """A row lost on the way is found by the counts, in a table whose texts look like the ends of rows too."""
    mysql = "/^INSERT INTO .the child. VALUES (1,/s/VALUES (1,1,1,.[^)]*),[^)]*),/VALUES /"
    loading(place, f"sed -e '{mysql}' -e '/^(1,1,1,.(1),(2/d'")
    done = place.agent.restore(f"{AGAMA}@latest", "--replace", "--json")
    place.host.sshd.farm.reset()
    assert done.code == 1
    differing = [(o["name"], o["expected"], o["found"]) for o in done.json["objects"] if not o["equal"]]
    assert differing == [("agama.the child", FEW, FEW - 1)]
    place.agent.restore(f"{AGAMA}@latest", "--replace").succeeded()
