"""hosts.toml for tests: values written as TOML, and a document that is right until a test changes it."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

from pullagent.config import Config, load
from pullagent.sources import KINDS
from tests.unit.sealing import RECIPIENT

RIGHT: dict[str, Any] = {
    "store": {"path": "/srv/pullagent"},
    "encryption": {"recipients": [RECIPIENT]},
    "hosts": {
        "pavroto-2": {
            "user": "pullagent",
            "sources": {
                "agama": {"kind": "mysql", "databases": ["agama"]},
                "logs": {"kind": "influxdb", "databases": ["logs"]},
            },
        }
    },
}


def toml(value: Any) -> str:
    """A value as TOML; tables inline."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{toml(str(k))} = {toml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return json.dumps(value) if isinstance(value, bool) else repr(value)


def document(value: dict[str, Any]) -> str:
    """A whole document."""
    return "".join(f"{toml(str(k))} = {toml(v)}\n" for k, v in value.items())


def changed(place: str, value: Any) -> dict[str, Any]:
    """RIGHT with another value at a place, whose keys stand between blanks; None takes the key away."""
    result = deepcopy(RIGHT)
    table, *keys = result, *place.split()
    for key in keys[:-1]:
        table = table.setdefault(key, {})
    if value is None:
        del table[keys[-1]]
    else:
        table[keys[-1]] = value
    return result


def loaded(directory: Path, value: dict[str, Any] | str | bytes) -> Config:
    """What `load` makes of a document."""
    path = directory / "hosts.toml"
    text = document(value) if isinstance(value, dict) else value
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return load(path, KINDS)
