"""The verbs, each loaded when it is called: what is said of them without loading any is true."""

import importlib
from pathlib import Path

import pytest

from pullagent.cli import verbs


@pytest.mark.parametrize("name", verbs.VERBS)
def test_the_list_says_what_the_verb_says(name: str) -> None:
    """`pullagent --help` shows the first paragraph of the verb's own help."""
    first, _, _ = verbs.loaded(name).help.partition("\n\n")
    assert verbs.VERBS[name] == " ".join(first.split())


def test_every_verb_is_listed() -> None:
    """A module that adds a verb has its line."""
    found = set()
    for file in Path(verbs.__file__).parent.glob("*.py"):
        module = importlib.import_module(f"pullagent.cli.{file.stem}")
        if hasattr(module, "register"):
            found |= {name for name in verbs.VERBS if verbs.module_of(name) == file.stem}
            assert file.stem in map(verbs.module_of, verbs.VERBS), file.name
    assert found == set(verbs.VERBS)
