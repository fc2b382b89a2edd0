"""`pullagent show`: one snapshot in full."""

import json
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer

from pullagent import manifest as manifests
from pullagent.cli import members as listing
from pullagent.cli import streams, ui
from pullagent.errors import UsageError
from pullagent.model import Observer, Snapshot, rfc3339
from pullagent.seal import Identity
from pullagent.sources import KINDS
from pullagent.store import Store, pins


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(show)


def show(
    context: typer.Context,
    ref: Annotated[str, typer.Argument(metavar="REF", help="HOST/SOURCE@ID, @latest or a prefix.")],
    files: Annotated[bool, typer.Option("--files", help="List the files in it; with --identity.")] = False,
    identity: Annotated[
        Path | None,
        typer.Option(readable=False, metavar="FILE|-", help="The age identity, or - for standard input."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show one snapshot: what it is, its artifacts, where it lies; with --files what is in it."""
    if files != (identity is not None):
        raise UsageError("--files and --identity belong together", "pullagent show REF --files --identity FILE")
    config = ui.config_of(context)
    opening = ui.read_identity(identity) if identity else nullcontext()
    with opening as opened:
        store, snapshot = ui.find(ui.as_store_owner(config), ref)
        if opened is not None:
            _files(store, snapshot, opened, as_json=as_json)
            return
    _show(store, snapshot, as_json=as_json)


class _Reader(Observer):
    """Who reads the list, and may have seen enough: what lies between two of its lines can take minutes to read."""

    def advanced(self, job: str, count: int) -> None:
        """End well, once nobody reads it any more."""
        if streams.abandoned(sys.stdout):
            raise typer.Exit


def _files(store: Store, snapshot: Snapshot, identity: Identity, *, as_json: bool) -> None:
    from pullagent.contents import members

    with members(store, KINDS, snapshot, identity, _Reader()) as found:
        if as_json:
            listing.print_json(found, **_fields(snapshot))
        else:
            listing.show(found)


def _fields(snapshot: Snapshot) -> dict[str, Any]:
    return {
        "ref": str(snapshot.ref),
        "state": snapshot.state,
        "pinned": snapshot.pinned,
        "path": str(snapshot.path),
        "manifest": json.loads(manifests.dump(snapshot.manifest)) if snapshot.manifest else None,
    }


def _show(store: Store, snapshot: Snapshot, *, as_json: bool) -> None:
    raw = store.pin_of(snapshot)
    pin = pins.parse(raw) if raw is not None else None
    if as_json:
        ui.print_json(**_fields(snapshot))
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
