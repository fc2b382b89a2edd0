"""`pullagent list`: what is in the store."""

from collections.abc import Mapping
from contextlib import suppress
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
    found = store.snapshots(host or None, source or None)
    if target and not found:
        config.select([target])
    now = datetime.now(UTC)
    goes = {d.ref: d for d in decide(map(Candidate.of, found), config.retention, now).decisions}
    verified = _verified(Ledger(store.ledger_path))
    if as_json:
        ui.print_json(snapshots=[_as_json(s, goes[s.ref], verified) for s in found])
    elif found:
        _render(found, goes, verified, now)
    else:
        ui.tell(
            f"there are no snapshots{f' of {target}' if target else ''} in {config.store} yet: pullagent run makes them"
        )


def _render(
    found: list[Snapshot], goes: Mapping[SnapshotRef, Decision], verified: dict[str, str], now: datetime
) -> None:
    columns = ["Snapshot", "Taken (UTC)", "Age", "Plain", "Stored", "Took", "State", "Goes"]
    rows = [
        [
            str(s.ref),
            rfc3339(s.taken)[:16].replace("T", " "),
            ui.span(now - s.taken),
            ui.size(s.plain_bytes),
            ui.size(s.stored_bytes),
            ui.duration(s.took_s),
            _state(s, verified, now),
            _goes(s, goes[s.ref], now),
        ]
        for s in found
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


def _state(snapshot: Snapshot, verified: dict[str, str], now: datetime) -> str:
    words = [snapshot.state]
    last = verified.get(str(snapshot.ref))
    if last and snapshot.state != "damaged":
        with suppress(ValueError):
            words.append(f"verified {ui.span(now - datetime.fromisoformat(last))}")
    return " · ".join([*words, "pinned"] if snapshot.pinned else words)


def _goes(snapshot: Snapshot, decision: Decision, now: datetime) -> str:
    if snapshot.pinned:
        return "pinned"
    if decision.expires is None:
        return "stays"
    return f"in {ui.span(decision.expires - now)}" if decision.expires - now > timedelta() else "due"


def _as_json(snapshot: Snapshot, decision: Decision, verified: dict[str, str]) -> dict[str, Any]:
    return {
        "ref": str(snapshot.ref),
        "host": snapshot.ref.name.host,
        "source": snapshot.ref.name.source,
        "id": snapshot.ref.id,
        "kind": snapshot.manifest.kind if snapshot.manifest else None,
        "taken": rfc3339(snapshot.taken),
        "state": snapshot.state,
        "pinned": snapshot.pinned,
        "plain_bytes": snapshot.plain_bytes,
        "stored_bytes": snapshot.stored_bytes,
        "took_s": snapshot.took_s,
        "verified": verified.get(str(snapshot.ref)),
        "expires": rfc3339(decision.expires) if decision.expires else None,
    }
