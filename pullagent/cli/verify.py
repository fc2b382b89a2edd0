"""`pullagent verify`: see that what is stored is still what was stored."""

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pullagent import keys
from pullagent.cli import ui
from pullagent.cli.progress import progress
from pullagent.errors import DamageError, WrongIdentity
from pullagent.ledger import Ledger, looked_at
from pullagent.model import SourceName
from pullagent.sources import KINDS
from pullagent.store import Store

if TYPE_CHECKING:
    from pullagent.verify import VerifyReport


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(verify)


def verify(
    context: typer.Context,
    target: Annotated[
        str | None, typer.Argument(metavar="REF|HOST[/SOURCE]", help="One snapshot, a host's, or a source's.")
    ] = None,
    share: Annotated[
        str | None, typer.Option("--sample", metavar="P%", help="Only this share: those not looked at for longest.")
    ] = None,
    since: Annotated[str | None, typer.Option(metavar="DATE", help="Only snapshots taken since then (UTC).")] = None,
    identity: Annotated[
        Path | None,
        typer.Option(
            readable=False, metavar="FILE|-", help="Decrypt too, and check the content; - for standard input."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Hash stored files again and compare them with their manifests; with an identity, check what they hold too."""
    from pullagent import verify as verifying

    percent = verifying.parse_share(share) if share is not None else 100.0
    scope = verifying.Scope.parse(target, verifying.parse_since(since) if since is not None else None)
    config = ui.config_of(context)
    store = Store(config.store)
    snapshots = scope.snapshots(store)
    if percent < 100:
        looked = looked_at(Ledger(store.ledger_path).entries(events=("verify",)), sound=False)
        snapshots = verifying.sample(snapshots, looked, percent)
    strangers = [] if scope.which else store.foreign(scope.host, scope.source)
    opening = ui.read_identity(identity) if identity else nullcontext()
    ui.as_store_owner(config)
    with (
        opening as opened,
        progress(quiet=as_json or (opened is not None and keys.asks_each_time(opened.data))) as observer,
    ):
        report = verifying.Verifier(store, KINDS, identity=opened, observer=observer).verify(snapshots, strangers)
    for warning in report.warnings:
        ui.tell(f"warning: {warning}")
    if not report.looks:
        # a store that is not mounted looks like this
        ui.tell(f"warning: nothing was looked at: there is no such snapshot in {store.root}")
    if as_json:
        _print_json(report)
    else:
        _render(report)
    _fail(report, store)
    if report.exit_code:
        raise typer.Exit(report.exit_code)


def _print_json(report: "VerifyReport") -> None:
    ui.print_json(
        checked=len(report.looks),
        bytes=report.bytes,
        problems=[
            {"ref": str(p.ref) if p.ref else None, "file": p.file, "problem": p.problem, "detail": p.detail}
            for p in report.problems
        ],
    )


def _render(report: "VerifyReport") -> None:
    rows = [(str(p.ref or "(the store)"), p.problem, f"{p.file}: {p.detail}") for p in report.problems]
    if rows:
        ui.table(("Snapshot", "Problem", "File"), rows)
        ui.say()
    deep = sum(look.opened is True for look in report.looks)
    what = "" if all(look.opened is None for look in report.looks) else f", {deep} of them down to their content"
    count = f"{len(report.looks)} snapshot{'' if len(report.looks) == 1 else 's'}"
    found = f"{len(rows)} problem{'' if len(rows) == 1 else 's'}" if rows else "no problem"
    ui.say(f"{count}, {ui.size(report.bytes)} checked{what}: {found}")


def _fail(report: "VerifyReport", store: Store) -> None:
    damaged = [look.ref for look in report.looks if look.damaged]
    if damaged:
        names = ", ".join(map(str, damaged[:4])) + (f" and {len(damaged) - 4} more" if len(damaged) > 4 else "")
        hints = [_left(store, name) for name in dict.fromkeys(ref.name for ref in damaged)]
        hints.append("look at the disk (dmesg, smartctl), and make a new one: pullagent run")
        ui.fail(DamageError(f"damaged: {names}", "\n".join(hints)))
    elif report.problems:
        ui.fail(
            DamageError(
                "the data is as it was stored, but not all that lies beside it",
                f"who changed or left it? What is foreign can be moved out of {store.root}",
            )
        )
    unopened = [look.ref for look in report.looks if look.opened is False]
    for ref in unopened if len(unopened) < len(report.looks) else []:
        ui.tell(f"not opened: {ref}")
    if unopened:
        ui.fail(
            WrongIdentity(
                f"the identity does not open {len(unopened)} of {len(report.looks)} snapshots, such as {unopened[0]}",
                f"pullagent show {unopened[0]} names the recipients it was encrypted to",
            )
        )


def _left(store: Store, name: SourceName) -> str:
    """What there is to fall back on."""
    good = next((s for s in store.snapshots(name.host, name.source) if s.state == "good"), None)
    if good is None:
        return f"no good snapshot of {name} is left: pullagent run {name}"
    return f"take {good.ref} instead; all: pullagent list"
