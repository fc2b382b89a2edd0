"""The order of the tests: what waits for real servers begins, so that short tests fill up the end."""

from pathlib import Path

import pytest

_LONG = {"faults", "integration"}
_TESTS = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first; pytest's own order otherwise."""
    items.sort(key=lambda item: item.path.relative_to(_TESTS).parts[0] not in _LONG)
