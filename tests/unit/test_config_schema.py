"""The JSON schema of hosts.toml: what loads fits it, what editors should mark does not."""

import json
import re
import tomllib
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any, cast

import pytest

from pullagent.sources import KINDS
from pullagent.tables import TABLES, HostTable, schema
from tests.unit.toml import RIGHT, changed

SCHEMA = schema(KINDS)
TYPES: dict[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "null": type(None),
}
UNDERSTOOD = {
    "$schema", "title", "description", "default", "type", "properties", "required", "additionalProperties",
    "propertyNames", "pattern", "oneOf", "anyOf", "const", "items", "minimum", "maximum", "exclusiveMinimum",
    "exclusiveMaximum", "minItems", "maxItems",
}  # fmt: skip


def fits(value: Any, rule: Any) -> bool:
    """Whether `value` fits a schema of the keywords in UNDERSTOOD."""
    if isinstance(rule, bool):
        return rule
    assert set(rule) <= UNDERSTOOD, set(rule) - UNDERSTOOD
    kind = TYPES[rule["type"]] if "type" in rule else object
    if not isinstance(value, kind) or (isinstance(value, bool) and rule.get("type") in ("integer", "number")):
        return False
    if "const" in rule and value != rule["const"]:
        return False
    if "anyOf" in rule and not any(fits(value, one) for one in rule["anyOf"]):
        return False
    if "oneOf" in rule and sum(fits(value, one) for one in rule["oneOf"]) != 1:
        return False
    return all(_parts_fit(value, rule))


def _parts_fit(value: Any, rule: dict[str, Any]) -> Iterator[bool]:
    if isinstance(value, dict):
        known = rule.get("properties", {})
        yield all(key in value for key in rule.get("required", []))
        yield all(fits(v, known.get(k, rule.get("additionalProperties", True))) for k, v in value.items())
        yield all(fits(k, rule.get("propertyNames", True)) for k in value)
    if isinstance(value, list):
        yield all(fits(one, rule.get("items", True)) for one in value)
        yield rule.get("minItems", 0) <= len(value) <= rule.get("maxItems", len(value))
    if isinstance(value, str) and "pattern" in rule:
        yield re.search(rule["pattern"], value) is not None
    if isinstance(value, int | float):
        yield rule.get("minimum", value) <= value <= rule.get("maximum", value)
        yield rule.get("exclusiveMinimum", value - 1) < value < rule.get("exclusiveMaximum", value + 1)


def test_it_is_json() -> None:
    """It can be written to a file and read back."""
    assert json.loads(json.dumps(SCHEMA)) == SCHEMA


def test_it_names_every_key() -> None:
    """Every key of every table, and of every source kind."""
    tables = SCHEMA["properties"]
    for name, model in TABLES.items():
        assert set(tables[name]["properties"]) == {f.name for f in fields(model)}
    host = tables["hosts"]["additionalProperties"]
    assert set(host["properties"]) == {f.name for f in fields(HostTable)} | {"sources"}
    kinds = {
        k["properties"]["kind"]["const"]: k for k in host["properties"]["sources"]["additionalProperties"]["oneOf"]
    }
    assert set(kinds) == set(KINDS)
    for name, kind in KINDS.items():
        assert set(kinds[name]["properties"]) == {"kind", *(f.name for f in fields(cast(Any, kind)))}


def test_every_table_is_closed() -> None:
    """An editor marks an unknown key everywhere: no table takes keys that it does not name."""

    def walk(rule: Any) -> Iterator[dict[str, Any]]:
        if isinstance(rule, dict):
            yield rule
        for inner in rule.values() if isinstance(rule, dict) else rule if isinstance(rule, list) else ():
            yield from walk(inner)

    open_ones = [r for r in walk(SCHEMA) if r.get("type") == "object" and r.get("additionalProperties", True) is True]
    assert open_ones == []
    assert not [r for r in walk(SCHEMA) if "$ref" in r], "a reference would lead nowhere in the composed schema"


def test_the_example_fits() -> None:
    """The hosts.toml that comes with the program, and the shortest right one."""
    assert fits(tomllib.loads((Path(__file__).parents[2] / "hosts.toml").read_text()), SCHEMA)
    assert fits(RIGHT, SCHEMA)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("sotre", {}),
        ("store path", None),
        ("store paht", "x"),
        ("retention days", 0),
        ("retention days", "14"),
        ("compression level", 10),
        ("hosts pavroto-2 port", 65536),
        ("hosts pavroto-2 user", None),
        ("hosts pavroto-2 sources agama kind", "postgres"),
        ("hosts pavroto-2 sources agama databases", []),
        ("hosts pavroto-2 sources agama api", "x:1"),
        ("hosts .hidden", {"user": "x"}),
    ],
)
def test_what_is_wrong_does_not_fit(place: str, value: Any) -> None:
    """An editor marks what the program would refuse."""
    assert not fits(changed(place, value), SCHEMA)
