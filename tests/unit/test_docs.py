"""What the documents show must exist: verbs, options, keys, exit codes, links, and the runbook's client flags."""

import dataclasses
import re
import shlex
from pathlib import Path

import pytest

from pullagent import errors
from pullagent.cli.app import whole
from pullagent.sources import KINDS
from pullagent.tables import TABLES, HostTable

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


def shown_commands(text: str) -> list[list[str]]:
    """Every `pullagent …` line of the code blocks and every inline one, split into words."""
    lines = re.findall(
        r"^(?:\$ )?(?:ssh .*? )?(pullagent [^\n]*)$", "\n".join(re.findall(r"```sh\n(.*?)```", text, re.S)), re.M
    )
    inline = re.findall(r"`(pullagent [^`]*)`", text)
    return [shlex.split(line.split(" <")[0], comments=True)[1:] for line in [*lines, *inline]]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda p: p.name)
def test_every_command_shown_exists_with_its_options(document: Path) -> None:
    """Each verb and option that a document shows is one that the program has."""
    for words in shown_commands(document.read_text()):
        command = whole()
        while words and hasattr(command, "commands"):
            assert words[0] in command.commands, f"{document.name}: pullagent {words}"
            command = command.commands[words.pop(0)]
        known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
        for word in words:
            if word.startswith("-") and word != "-":
                assert word in known, f"{document.name}: {word} of {command.name}"


def test_the_documents_show_every_verb() -> None:
    """No verb is left out of the README."""
    verbs = whole().commands
    text = (ROOT / "README.md").read_text()
    for verb in verbs:
        assert f"`pullagent {verb}" in text


def test_every_key_of_hosts_toml_is_documented_with_its_default() -> None:
    """docs/hosts_toml.md names each key of each table with the real default, and each kind; their own keys stand
    in a document that is made of them.
    """
    text = (ROOT / "docs/hosts_toml.md").read_text()
    assert all(f"`{kind}`" in text for kind in KINDS)
    for model in [*TABLES.values(), HostTable]:
        for field in dataclasses.fields(model):
            row = next((line for line in text.splitlines() if f"| `{field.name}` |" in line), None)
            assert row is not None, f"{model.__name__}.{field.name}"
            if isinstance(field.default, int | str) and not isinstance(field.default, bool):
                assert f"`{field.default}`" in row, row


def test_every_exit_code_is_documented() -> None:
    """docs/exit_codes.md has a row for the exit code of each error."""
    text = (ROOT / "docs/exit_codes.md").read_text()
    kinds = [v for v in vars(errors).values() if isinstance(v, type) and issubclass(v, errors.PullAgentError)]
    assert len(kinds) > 10
    for kind in kinds:
        assert f"| {kind.exit_code} |" in text, kind.__name__


def test_every_promise_names_tests_that_exist() -> None:
    """Each row of the threat model names at least one test, and each test it names is there."""
    rows = re.findall(r"^\| (?!Promise|---)(.+?) \| (.+?) \|$", (ROOT / "docs/threat-model.md").read_text(), re.M)
    assert len(rows) > 25
    for promise, proof in rows:
        named = re.findall(r"`(tests/[^`:]+\.py)::(test_[a-z0-9_]+)`", proof)
        assert len(named) == proof.count("`") / 2 > 0, promise
        for file, name in named:
            assert f"def {name}(" in (ROOT / file).read_text(), f"{promise}: {file}::{name}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda p: p.name)
def test_links_lead_somewhere(document: Path) -> None:
    """Each relative link of a document names a file that is there."""
    for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text()):
        assert (document.parent / target).exists(), f"{document.name}: {target}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda p: p.name)
def test_no_part_of_a_document_stands_twice(document: Path) -> None:
    """A heading stands once: a merge that kept both sides would tell the reader two things."""
    headings = re.findall(r"^##+ .*$", re.sub(r"```.*?```", "", document.read_text(), flags=re.S), re.M)
    assert len(headings) == len(set(headings))
