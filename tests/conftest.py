"""The order of the tests: what waits for real servers begins, so that short tests fill up the end."""

import os
from pathlib import Path

import pytest

_LONG = {"faults", "integration"}
_TESTS = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first; pytest's own order otherwise."""
    items.sort(key=lambda item: item.path.relative_to(_TESTS).parts[0] not in _LONG)


@pytest.fixture(scope="session", autouse=True)
def state(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Which stores were in use is remembered in a directory of the tests' own."""
    os.environ["XDG_STATE_HOME"] = str(tmp_path_factory.mktemp("state"))
