"""docs/sources.md, written from the registry of source kinds: `python -m tests.docs.sources` writes it.

What it says of a kind are the docstrings of its class and of its methods, and the descriptions of its keys.
"""

import inspect
import json
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pullagent import fields
from pullagent.sources import KINDS
from pullagent.sources.base import CHOICES, Listing, Mirrored, Source
from tests.contract.kinds import EXAMPLES, build
from tests.vectors import label

TARGET = Path(__file__).parents[2] / "docs" / "sources.md"
_HEAD = """\
# Source kinds

What can be backed up: a table `[hosts.NAME.sources.SOURCE]` of [hosts.toml](hosts_toml.md) whose `kind` is one of
those below. This file is written from the program by `python -m tests.docs.sources`; do not edit it.

An artifact becomes `ARTIFACT.zst.age` in the snapshot's directory, beside a `RESTORE.txt` that says how to bring back
this very snapshot with age, zstd and the stock programs alone. A pull that fails any of its checks stores nothing. The
commands are constants, given hosts.toml: `pullagent gate HOST -o DIR` renders a wrapper that lets the pull key run
these and no others, and shows them in full; `tests/vectors/commands.txt` has those of the example hosts.toml.
"""
# in the order of a snapshot's life
_METHODS = {
    "A pull": "artifacts",
    "`doctor`": "diagnose",
    "`verify --identity`": "checks",
    "`restore`": "restoration",
    "`drill`": "throwaway",
    "Database grants": "grants",
    "As root there": "as_root",
}


def document() -> str:
    """The whole file."""
    return _HEAD + "".join(f"\n## `{kind}`\n\n{_section(kind)}" for kind in KINDS)


def said(documented: Any) -> str:
    """A docstring as one line of Markdown; LookupError where there is none."""
    text = inspect.cleandoc(documented.__doc__ or "")
    # a dataclass without one shows its fields
    if not text or text.startswith(f"{documented.__name__}("):
        raise LookupError(f"{documented} has no docstring")
    return " ".join(text.split())


def keys(kind: str) -> Iterator[tuple[str, str, str, str]]:
    """Name, type, default and meaning of each key. LookupError for a key without a description."""
    schema = fields.schema(KINDS[kind])
    for name, rule in schema["properties"].items():
        default = "required" if name in schema.get("required", []) else f"`{json.dumps(rule['default'])}`"
        yield f"`{name}`", _type(rule), "none" if default == "`null`" else default, rule["description"]


def _section(kind: str) -> str:
    model, source = KINDS[kind], build(kind, EXAMPLES[kind].least)
    lines = [*textwrap.wrap(said(model), 120), ""]
    lines += ["| key | type | default | meaning |", "|---|---|---|---|", *map(_row, keys(kind)), ""]
    lines += ["| | |", "|---|---|", _row(("Artifacts", ", ".join(f"`{name}`" for name in model.artifact_names)))]
    lines += [_row((title, said(getattr(model, method)))) for title, method in _METHODS.items()]
    lines += [_row(("Besides", "; ".join(_besides(model, source))))] if list(_besides(model, source)) else []
    lines += ["", f"The commands of the shortest table, `{_shortest(kind)}`:", "", *_commands(source)]
    return "\n".join(lines) + "\n"


def _besides(model: type[Source], source: Source) -> Iterator[str]:
    """What it can besides, or what else a restore of it takes."""
    if isinstance(source, Mirrored):
        yield "`mirror` keeps a copy in clear up to date between pulls"
    if isinstance(source, Listing):
        yield "`show REF --files --identity FILE` lists what a snapshot holds"
    taken = [f"`{option}`" for name, option in CHOICES.items() if name in model.restore_takes]
    if taken:
        yield f"`restore` takes {', '.join(taken)}"


def _shortest(kind: str) -> str:
    table = {"kind": kind} | EXAMPLES[kind].least
    return ", ".join(f"{key} = {json.dumps(value)}" for key, value in table.items())


def _commands(source: Source) -> Iterator[str]:
    for name in dict.fromkeys(map(label, source.commands())):
        same = [command for command in source.commands() if label(command) == name]
        forms = f", in {len(same)} forms of which the server's version decides" if len(same) > 1 else ""
        kept = " (its output is an artifact, as it comes)" if set(same) & set(source.streams()) else ""
        shown = name.replace("-", " ") if "\n" in same[0] else f"`{same[0]}`"
        yield f"- {shown}{kept}{forms}"


def _type(rule: dict[str, Any]) -> str:
    for one in rule.get("anyOf", ()):
        if one["type"] != "null":
            return _type(one)
    return f"list of {_type(rule['items'])}s" if rule["type"] == "array" else str(rule["type"])


def _row(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


if __name__ == "__main__":
    TARGET.write_text(document())
