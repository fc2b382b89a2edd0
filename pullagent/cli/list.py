"""`pullagent list`: what is in the store."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from pullagent.cli import ui
from pullagent.errors import StoreError
from pullagent.ledger import Ledger, looked_at
from pullagent.model import Snapshot, SnapshotRef, rfc3339
from pullagent.retention import Candidate, Decision, decide
from pullagent.store import Store

_WIDE = 110


@dataclass(frozen=True, slots=True)
class Line:
    """What is told of a snapshot. Its manifest is let go: to keep thousands takes as long as to read them."""

    seen: Candidate
    kind: str | None
    plain_bytes: int | None
    stored_bytes: int | None
    took_s: float | None

    @classmethod
    def of(cls, snapshot: Snapshot) -> "Line":
        """The line of a snapshot in the store."""
        kind = snapshot.manifest.kind if snapshot.manifest else None
        return cls(Candidate.of(snapshot), kind, snapshot.plain_bytes, snapshot.stored_bytes, snapshot.took_s)


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(name="list")(list_snapshots)


def list_snapshots(
    context: typer.Context,
    target: Annotated[str | None, typer.Argument(metavar="HOST[/SOURCE]", help="Only of this host or source.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """List the snapshots in the store, newest first."""
    config = ui.as_store_owner(ui.config_of(context))
    host, _, source = (target or "").partition("/")
    store = Store(config.store)
    found = [Line.of(s) for of_source in store.by_source(host or None, source or None) for s in of_source]
    if target and not found:
        config.select([target])
    now = datetime.now(UTC)
    goes = {d.ref: d for d in decide((line.seen for line in found), config.retention, now).decisions}
    verified = _verified(Ledger(store.ledger_path))
    if as_json:
        ui.print_json(snapshots=[_as_json(line, goes[line.seen.ref], verified) for line in found])
    elif found:
        _render(found, goes, verified, now)
    else:
        ui.tell(
            f"there are no snapshots{f' of {target}' if target else ''} in {config.store} yet: pullagent run makes them"
        )


def _render(found: list[Line], goes: Mapping[SnapshotRef, Decision], verified: dict[str, str], now: datetime) -> None:
    columns = ["Snapshot", "Taken (UTC)", "Age", "Plain", "Stored", "Took", "State", "Goes"]
    rows = [
        [
            str(line.seen.ref),
            f"{line.seen.ref.id[:10]} {line.seen.ref.id[11:13]}:{line.seen.ref.id[13:15]}",
            ui.span(now - line.seen.taken),
            ui.size(line.plain_bytes),
            ui.size(line.stored_bytes),
            ui.duration(line.took_s),
            _state(line.seen, verified, now),
            _goes(goes[line.seen.ref], line.seen.pinned, now),
        ]
        for line in found
    ]
    if ui.out.is_terminal and ui.out.width < _WIDE:
        # the reference says when it was taken; age, size and state matter more in a narrow window
        keep = (0, 2, 4, 6)
        columns, rows = [columns[i] for i in keep], [[row[i] for i in keep] for row in rows]
    ui.table(columns, rows, right=("Age", "Plain", "Stored", "Took"))


def _verified(ledger: Ledger) -> dict[str, str]:
    """When each snapshot was last found sound; a ledger that cannot be read hides no snapshot."""
    try:
        return looked_at(ledger.entries(events=("verify",)), sound=True)
    except StoreError as error:
        ui.tell(f"warning: when they were verified is not known: {error.message}")
        return {}


def _state(seen: Candidate, verified: dict[str, str], now: datetime) -> str:
    words = [seen.state]
    last = verified and verified.get(str(seen.ref))
    if last and seen.state != "damaged":
        with suppress(ValueError):
            words.append(f"verified {ui.span(now - datetime.fromisoformat(last))}")
    return " · ".join([*words, "pinned"] if seen.pinned else words)


def _goes(decision: Decision, pinned: bool, now: datetime) -> str:
    if pinned:
        return "pinned"
    if decision.expires is None:
        return "stays"
    rest = decision.expires - now
    return f"in {ui.span(rest)}" if rest > timedelta() else "due"


def _as_json(line: Line, decision: Decision, verified: dict[str, str]) -> dict[str, Any]:
    seen, ref = line.seen, str(line.seen.ref)
    return {
        "ref": ref,
        "host": seen.ref.name.host,
        "source": seen.ref.name.source,
        "id": seen.ref.id,
        "kind": line.kind,
        "taken": rfc3339(seen.taken),
        "state": seen.state,
        "pinned": seen.pinned,
        "plain_bytes": line.plain_bytes,
        "stored_bytes": line.stored_bytes,
        "took_s": line.took_s,
        "verified": verified.get(ref),
        "expires": rfc3339(decision.expires) if decision.expires else None,
    }
