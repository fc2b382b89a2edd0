"""The runbook, followed as it stands: with pullagent, and with age, zstd and the stock clients alone."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration import places
from tests.integration.places import PRODUCTS
from tests.integration.runbook import Operator, pattern, stock_clients
from tests.lab.data import checksums, influx_points
from tests.lab.keys import public_text, ssh_keypair
from tests.lab.mariadb import MariaDB
from tests.lab.mysql import MySQL


class Place(places.Place):
    """A host with its backup server, which has pulled it, and what was there."""

    def __init__(self, directory: Path, kind: type[MariaDB] | type[MySQL]) -> None:
        super().__init__(directory, kind)
        # the operator's key is the host's own, and the pull key another
        pull = ssh_keypair(self.agent.directory / "id_pull")
        with self.host.sshd.authorized_keys.open("a") as file:
            file.write(f"{public_text(pull)}\n")
        self.agent.configure(self.host.hosts_toml(self.agent.store, self.agent.recipient, pull, self.agent.known_hosts))
        self.agent.call("run").succeeded()
        self.before = self.contents()

    def contents(self) -> tuple[dict[str, str], Any]:
        """Everything that must come back."""
        assert self.host.influxdb is not None
        return checksums(self.host.server), influx_points(self.host.influxdb, "logs")


@pytest.fixture(scope="module", params=PRODUCTS)
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """One for each product; each test loses the host anew."""
    with Place.of(request, tmp_path_factory) as made:
        yield made


def test_without_pullagent(place: Place) -> None:
    """age, zstd and the stock clients bring everything back onto a rebuilt host."""
    place.host.rebuild()
    stock_clients(place.agent)
    Operator(place.agent).follow("Without pullagent")
    place.host.sshd.farm.reset()
    assert place.contents() == place.before


def test_with_pullagent(place: Place) -> None:
    """From a host that is gone to the next backup of the rebuilt one, by the document's own commands."""
    place.host.rebuild()
    operator = Operator(place.agent)
    operator.follow("A host is gone")
    assert place.contents() == place.before
    assert operator.seconds["A host is gone"] < 60


def test_what_does_not_match_is_seen() -> None:
    """The comparison of answers takes other figures and gaps, and no other words or missing lines."""
    expected = pattern("8 checks: 8 OK\n…\nx@2026-11-23T010003Z -> …: everything came back, in 5.1 s\n")
    answer = "5 checks: 5 OK\nmore\nx@2025-01-02T030405Z -> root@h: everything came back, in 12.3 s\n"
    assert expected.fullmatch(answer)
    for old, new in (
        ("everything", "nothing"),
        ("5 OK", "4 OK, 1 WARN"),
        ("more\nx@", "more\ny@"),
        (" s\n", " s\nx\n"),
    ):
        assert not expected.fullmatch(answer.replace(old, new)), new
