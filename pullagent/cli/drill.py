"""`pullagent drill`: the periodic restoration test, and its evidence."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pullagent.cli import restored, ui
from pullagent.cli.progress import progress
from pullagent.config import Config
from pullagent.errors import PullAgentError, UsageError
from pullagent.model import Snapshot, SourceName, rfc3339
from pullagent.sources import KINDS

if TYPE_CHECKING:
    from pullagent.drill import DrillReport
    from pullagent.host import Login
    from pullagent.seal import Identity


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(drill)


def drill(
    context: typer.Context,
    identity: Annotated[Path, typer.Option(metavar="FILE|-", help="The age identity, or - for standard input.")],
    ref: Annotated[
        str | None,
        typer.Argument(metavar="REF", help="A snapshot; else the newest of the source drilled longest ago."),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="The newest good snapshot of every source.")] = False,
    to: Annotated[
        str | None,
        typer.Option(metavar="[USER@]HOST[:PORT]", help="Onto this host under a scratch name, instead of here."),
    ] = None,
    ssh_key: Annotated[Path | None, typer.Option(metavar="FILE", help="With --to, as restore takes it.")] = None,
    ssh_config: Annotated[Path | None, typer.Option(metavar="FILE", help="With --to, as restore takes it.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Restore onto a throwaway server of this machine, compare, measure, remove all, and record it."""
    if ref is not None and every:
        raise UsageError("REF and --all exclude each other", "leave one of them out")
    if to is None and (ssh_key or ssh_config):
        raise UsageError("--ssh-key and --ssh-config belong to --to", "add --to HOST, or leave them out")
    config = ui.config_of(context)
    login = None
    if to is not None:
        from pullagent.logins import operator_login

        login = operator_login(config, to, ssh_key, ssh_config)
    with ui.read_identity(identity) as opened:
        if every:
            code = _all(config, opened, login, as_json=as_json)
        else:
            report = _one(config, _snapshot(config, ref), opened, login, quiet=as_json)
            _show(report, as_json=as_json)
            code = 0 if report.ok else 1
    if code:
        raise typer.Exit(code)


def _snapshot(config: Config, ref: str | None) -> Snapshot:
    if ref is not None:
        return ui.find(config, ref)[1]
    return _newest(config, None)


def _newest(config: Config, name: SourceName | None) -> Snapshot:
    from pullagent.drill import longest_undrilled, newest_good
    from pullagent.store import Store

    return newest_good(Store(config.store), name or longest_undrilled(config))


def _all(config: Config, identity: "Identity", login: "Login | None", *, as_json: bool) -> int:
    """Every source, whatever becomes of the others. The exit code that all failures have in common, or 1."""
    codes, drills = set[int](), list[dict[str, Any]]()
    for name in config.source_names():
        try:
            report = _one(config, _newest(config, name), identity, login, quiet=as_json)
        except PullAgentError as error:
            if error.exit_code in (129, 130, 143):
                raise
            codes.add(error.exit_code)
            drills.append(_failed(config, name, error))
            if not as_json:
                ui.say(f"{name}: NOT drilled")
                ui.fail(error)
            continue
        codes.add(0 if report.ok else 1)
        drills.append(_as_json(report))
        if not as_json:
            _render(report, every=False)
            ui.say()
    if as_json:
        ui.print_json(drills=drills)
    failures = codes - {0}
    return failures.pop() if len(failures) == 1 else int(bool(failures))


def _one(
    config: Config, snapshot: Snapshot, identity: "Identity", login: "Login | None", *, quiet: bool
) -> "DrillReport":
    from pullagent.drill import drill as rehearse

    with ui.recorded(config, "drill", snapshot.ref.name, str(snapshot.ref)) as detail:
        with progress(quiet=quiet) as observer:
            report = rehearse(config, KINDS, snapshot, identity, login, observer=observer)
        detail |= {"exit_code": 0 if report.ok else 1, "took_s": report.took_s, "target": report.target}
        detail |= {"objects": len(report.objects), "differing": len(report.differing)}
        if report.differing:
            # no names of objects: the ledger is not encrypted
            detail["error"] = f"{len(report.differing)} of {len(report.objects)} objects differ"
        # nor of what was found before it: accounts, say
        detail |= _evidence(report) | {"warnings": [c.name for c in report.checks if c.result == "warn"]}
    return report


def _evidence(report: "DrillReport") -> dict[str, Any]:
    growth = report.growth.bytes_a_day
    return {
        "server": report.server,
        "account": report.account,
        "plain_bytes": report.plain_bytes,
        "rows": report.rows,
        "load_s": round(report.load_s, 3),
        "growth_bytes_a_day": None if growth is None else round(growth),
        "projected_bytes": report.projected_bytes,
        "projected_s": round(report.projected_s, 3),
        "sha256": dict(report.sha256),
        "warnings": list(report.warnings),
    }


def _as_json(report: "DrillReport") -> dict[str, Any]:
    return {
        "ref": str(report.ref),
        "target": report.target,
        "ok": report.ok,
        "took_s": round(report.took_s, 3),
        "rto_s": report.rto_s,
        "objects": [restored.as_json(o) for o in report.objects],
        "evidence": _evidence(report),
    }


def _failed(config: Config, name: SourceName, error: PullAgentError) -> dict[str, Any]:
    rto_s = config.objectives.rto_minutes * 60
    told = {"source": str(name), "error": error.message, "hint": error.hint, "exit_code": error.exit_code}
    return {"ref": None, "target": None, "ok": False, "took_s": None, "rto_s": rto_s, "objects": [], **told}


def _show(report: "DrillReport", *, as_json: bool) -> None:
    if as_json:
        ui.print_json(**_as_json(report))
    else:
        _render(report, every=True)


def _render(report: "DrillReport", *, every: bool) -> None:
    # where it was is gone by now
    shown = [o for o in report.objects if o.kind != "directory"] if every else report.differing
    if shown:
        restored.show(shown)
    verdict = "everything came back"
    if not report.ok:
        verdict = f"NOT EQUAL: {len(report.differing)} of {len(report.objects)} differ"
    where = report.target
    if report.account is not None:
        served = f"a throwaway server of {where}, which ran" if report.served else f"{where},"
        where = f"{served} as {report.account}"
    took, alone, later = (ui.duration(s) for s in (report.took_s, report.load_s, report.projected_s))
    lines = [
        ("drilled", f"{report.ref}, {ui.size(report.plain_bytes)}, at {rfc3339(datetime.now(UTC))}"),
        ("on", where),
        *([("server", report.server)] if report.server else []),
        ("compared", f"{restored.figures(report.objects)}: {verdict}"),
        ("took", f"{took}, the restore alone {alone} (RTO {ui.duration(report.rto_s)})"),
        ("in 90 days", f"{ui.size(report.projected_bytes)}, {_pace(report)}: the restore alone would take {later}"),
        *(("warning", text) for text in report.warnings),
    ]
    ui.facts(lines)


def _pace(report: "DrillReport") -> str:
    growth = report.growth.bytes_a_day
    return "growth not known yet" if growth is None else f"growing by {ui.size(max(0, round(growth)))} a day"
