"""A production host of either product with a backup server of its own, for the tests that rebuild it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import pytest

from tests.integration.agent import Agent
from tests.lab.mariadb import MariaDB
from tests.lab.mysql import MySQL
from tests.lab.production import ProductionHost

PRODUCTS = [MariaDB, pytest.param(MySQL, marks=pytest.mark.mysql)]


class Place:
    """A seeded host and its backup server, which has not pulled yet."""

    def __init__(self, directory: Path, product: type[MariaDB] | type[MySQL], *, influx: bool = True) -> None:
        self.host = ProductionHost(directory / "host", product, influx=influx)
        self.host.start()
        self.host.seed(rows=60, points=600)
        self.agent = Agent(directory / "backup", self.host)

    @classmethod
    @contextmanager
    def of(cls, request: pytest.FixtureRequest, factory: pytest.TempPathFactory) -> Iterator[Self]:
        """One of the product that a fixture is asked for; the host is gone afterwards."""
        made = cls(factory.mktemp("place"), request.param)
        try:
            yield made
        finally:
            made.host.destroy()
