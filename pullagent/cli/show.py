"""`pullagent show`: one snapshot in full."""

import json
from typing import Annotated

import typer

from pullagent import manifest as manifests
from pullagent.cli import ui
from pullagent.model import Snapshot, rfc3339
from pullagent.store import pins


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(show)


def show(
    context: typer.Context,
    ref: Annotated[str, typer.Argument(metavar="REF", help="HOST/SOURCE@ID, @latest or a prefix.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show one snapshot: what it is, its files, where it lies."""
    store, snapshot = ui.find(ui.as_store_owner(ui.config_of(context)), ref)
    raw = store.pin_of(snapshot)
    pin = pins.parse(raw) if raw is not None else None
    if as_json:
        manifest = json.loads(manifests.dump(snapshot.manifest)) if snapshot.manifest else None
        ui.print_json(
            ref=str(snapshot.ref),
            state=snapshot.state,
            pinned=snapshot.pinned,
            path=str(snapshot.path),
            manifest=manifest,
        )
        # what the object has no field for
        if snapshot.pinned:
            ui.tell(f"pinned: {pins.told(pin)}")
        if snapshot.problem:
            ui.tell(f"problem: {snapshot.problem}")
    else:
        _render(snapshot, pins.told(pin))


def _render(snapshot: Snapshot, pinned: str) -> None:
    pairs = [("snapshot", str(snapshot.ref)), ("state", snapshot.state + (" · pinned" if snapshot.pinned else ""))]
    if snapshot.pinned:
        pairs.append(("pinned", pinned))
    if snapshot.problem:
        pairs.append(("problem", snapshot.problem))
    manifest = snapshot.manifest
    if manifest is not None:
        pairs += [
            ("kind", manifest.kind),
            ("taken", f"{rfc3339(manifest.taken)}, in {ui.duration(snapshot.took_s)}"),
            ("server", f"{manifest.server.kind or '?'} {manifest.server.version or '?'}"),
            *(("tool", text if text.startswith(name) else f"{name} {text}") for name, text in manifest.tools.items()),
            *(("recipient", recipient) for recipient in manifest.recipients),
            *(("warning", warning) for warning in manifest.warnings),
        ]
    ui.facts([*pairs, ("path", str(snapshot.path))])
    if manifest is None:
        return
    ui.say()
    rows = [
        (a.name, ui.size(a.plain_bytes), ui.size(a.stored_bytes), a.stored_sha256[:16] + "…")
        for a in manifest.artifacts
    ]
    ui.table(("Artifact", "Plain", "Stored", "SHA-256 of the stored file"), rows, right=("Plain", "Stored"))
