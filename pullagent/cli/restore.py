"""`pullagent restore`: put a snapshot back onto a rebuilt host."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pullagent import keys
from pullagent.cli import ui
from pullagent.cli.progress import progress
from pullagent.model import rfc3339
from pullagent.sources import KINDS

if TYPE_CHECKING:
    from pullagent.restore import RestoreReport
    from pullagent.sources.base import Restored


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(restore)


def restore(
    context: typer.Context,
    ref: Annotated[str, typer.Argument(metavar="REF", help="HOST/SOURCE@ID, @latest or a prefix.")],
    to: Annotated[str, typer.Option(metavar="[USER@]HOST[:PORT]", help="A name from hosts.toml, or an address.")],
    identity: Annotated[Path, typer.Option(metavar="FILE|-", help="The age identity, or - for standard input.")],
    ssh_key: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Your SSH key; else your agent and ~/.ssh.")
    ] = None,
    ssh_config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="An OpenSSH client configuration to follow.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Restore a snapshot onto a host that holds none of its data yet, and compare what came back."""
    config = ui.config_of(context)
    _, snapshot = ui.find(config, ref)
    from pullagent.logins import operator_login
    from pullagent.restore import restore as put_back

    login = operator_login(config, to, ssh_key, ssh_config)
    ui.confirm(
        f"Restore {snapshot.ref} ({ui.size(snapshot.plain_bytes)}, taken {rfc3339(snapshot.taken)}) onto {login}.",
        yes=yes,
    )
    with (
        ui.recorded(config, "restore", snapshot.ref.name, str(snapshot.ref)) as detail,
        ui.read_identity(identity) as opened,
    ):
        with progress(quiet=as_json or keys.asks_each_time(opened.data)) as observer:
            report = put_back(config, KINDS, snapshot, login, opened, observer=observer)
        detail |= {"target": report.target, "exit_code": 0 if report.ok else 1}
        detail |= {"objects": len(report.objects), "differing": sum(not o.equal for o in report.objects)}
    if as_json:
        _print_json(report)
    else:
        _render(report)
    if not report.ok:
        raise typer.Exit(1)


def _print_json(report: "RestoreReport") -> None:
    ui.print_json(
        ref=str(report.ref),
        target=report.target,
        ok=report.ok,
        took_s=round(report.took_s, 3),
        rto_s=report.rto_s,
        objects=[
            {"name": o.name, "kind": o.kind, "expected": o.expected, "found": o.found, "equal": o.equal}
            for o in report.objects
        ],
    )


def _render(report: "RestoreReport") -> None:
    ordered = sorted(report.objects, key=lambda o: (o.equal, o.kind, o.name))
    rows = [(o.name, o.kind, str(o.expected or "-"), str(o.found), _verdict(o)) for o in ordered]
    ui.table(("Object", "Kind", "Expected", "Found", "Equal"), rows)
    ui.say()
    differing = sum(not o.equal for o in report.objects)
    verdict = "everything came back" if report.ok else f"NOT EQUAL: {differing} of {len(report.objects)} differ"
    ui.say(
        f"{report.ref} -> {report.target}: {verdict}, in {ui.duration(report.took_s)} (RTO {ui.duration(report.rto_s)})"
    )


def _verdict(item: "Restored") -> str:
    if item.expected is None:
        return "-"
    return "yes" if item.equal else "NO"
