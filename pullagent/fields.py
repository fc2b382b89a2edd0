"""What the keys of a table in hosts.toml may hold: msgspec's types and bounds, and what `Checked` says beside them."""

import json
from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec


@dataclass(frozen=True)
class Checked:
    """In an annotation: `judge` gives back a value that fits, or raises a ValueError that says what was found and what
    to write. It is asked about values of the right type alone.
    """

    judge: Callable[[Any], Any]


@dataclass(frozen=True)
class Problem:
    """What is wrong with one key, and what to write instead, where that is not said already."""

    text: str
    hint: str = ""


def read_table(model: Any, table: dict[str, Any]) -> tuple[Any, list[Problem]]:
    """A table as a value of the dataclass `model`, or None and everything that is wrong with it.

    What was found is never shown where it may be a secret: in fields that have no place in a repr, and see `shown`.
    """
    hints = get_type_hints(model, include_extras=True)
    known = fields(model)
    values: dict[str, Any] = {}
    problems = [Problem(f"unexpected key {key!r}") for key in table if key not in [field.name for field in known]]
    for field in known:
        key = field.name
        if key not in table:
            if field.default is MISSING and field.default_factory is MISSING:
                problems.append(Problem(f"{key} is missing", f"add {key} = …"))
            continue
        try:
            values[key] = _judged(msgspec.convert(table[key], hints[key]), hints[key])
        except msgspec.ValidationError as error:
            found = shown(table[key]) if field.repr else f"{type(table[key]).__name__} (not shown)"
            problems.append(Problem(f"{key}: found {found}", str(error)))
        except ValueError as error:
            problems.append(Problem(f"{key}: {error}"))
    if problems:
        return None, problems
    try:
        return model(**values), []
    except ValueError as error:
        return None, [Problem(str(error))]


def shown(value: Any) -> str:
    """What was found; only its type where it is long or may hold a secret."""
    found = repr(value)
    return found if len(found) < 60 and "secret" not in found.lower() else type(value).__name__


def _judged(value: Any, hint: Any) -> Any:
    """`value`, of type `hint`, when all that is Checked in it fits."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Annotated:
        value = _judged(value, inner[0])
        for mark in inner[1:]:
            value = mark.judge(value) if isinstance(mark, Checked) else value
        return value
    if origin is tuple:
        return tuple(_judged(one, inner[0]) for one in value)
    if origin in (Union, UnionType):
        (wanted,) = (one for one in inner if one is not NoneType)
        return value if value is None else _judged(value, wanted)
    if origin not in (None, Literal):
        raise TypeError(f"{hint}: a Checked in it would be passed over")
    return value


def schema(model: Any) -> dict[str, Any]:
    """The JSON schema of a table."""
    _, parts = msgspec.json.schema_components([model])
    (table,) = parts.values()
    described = {"description": " ".join(model.__doc__.split())} if model.__doc__ else {}
    # as JSON has it: a tuple is a list there
    return {**json.loads(json.dumps(table)), **described, "additionalProperties": False}
