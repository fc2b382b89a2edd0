"""`pullagent restore`: put a snapshot back onto a rebuilt host."""

import shlex
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pullagent.cli import diagnoses, restored, ui
from pullagent.cli.progress import paused, progress
from pullagent.diagnosis import Diagnosis
from pullagent.errors import HalfRestored, HostError, Interrupted, RestoreError, UsageError
from pullagent.model import rfc3339
from pullagent.sources import KINDS
from pullagent.sources.base import RestoreOptions

if TYPE_CHECKING:
    from pullagent.restore import RestoreReport


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(restore)


def restore(
    context: typer.Context,
    ref: Annotated[str, typer.Argument(metavar="REF", help="HOST/SOURCE@ID, @latest or a prefix.")],
    to: Annotated[str, typer.Option(metavar="[USER@]HOST[:PORT]", help="A name from hosts.toml, or an address.")],
    identity: Annotated[
        Path, typer.Option(readable=False, metavar="FILE|-", help="The age identity, or - for standard input.")
    ],
    ssh_key: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Your SSH key; else your agent and ~/.ssh.")
    ] = None,
    ssh_config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="An OpenSSH client configuration to follow.")
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Drop first what stands in its place.")] = False,
    into: Annotated[
        str | None, typer.Option(metavar="NAME", help="Into a database of this name; files: a directory.")
    ] = None,
    tables: Annotated[
        list[str] | None, typer.Option("--table", metavar="T", help="Only this table; may be repeated.")
    ] = None,
    paths: Annotated[
        list[str] | None, typer.Option("--path", metavar="P", help="Only this file or directory; may be repeated.")
    ] = None,
    schema_only: Annotated[bool, typer.Option("--schema-only", help="Everything but the rows.")] = False,
    config_files: Annotated[
        bool, typer.Option("--config-files", help="Put stored configuration files in place; old ones are kept.")
    ] = False,
    plain: Annotated[bool, typer.Option("--plain", help="One session, as the stock client would load it.")] = False,
    jobs: Annotated[int, typer.Option(min=1, max=16, help="Sessions that load tables side by side.")] = 4,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Look at everything, change nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Restore a snapshot onto a rebuilt host: look at everything first, load, and compare what came back."""
    if into == "":
        raise UsageError("--into names nothing", "is a variable empty? Write a name, or leave --into out")
    config = ui.config_of(context)
    _, snapshot = ui.find(config, ref)
    if not (yes or dry_run):
        ui.need_terminal()
    from pullagent.logins import operator_login
    from pullagent.restore import restore as put_back

    login = operator_login(config, to, ssh_key, ssh_config)
    options = RestoreOptions(
        replace, into, tuple(tables or ()), schema_only, plain, jobs, config_files, tuple(paths or ())
    )

    def approve(checks: tuple[Diagnosis, ...]) -> bool:
        what = f"{snapshot.ref} ({ui.size(snapshot.plain_bytes)}, taken {rfc3339(snapshot.taken)})"
        with paused(observer):
            if not as_json:
                _show_checks(checks)
            ui.confirm(f"Restore {what} onto {login}.", yes=yes)
        return True

    # a look changes nothing, and is no event
    recording: AbstractContextManager[dict[str, Any]] = (
        nullcontext({}) if dry_run else ui.recorded(config, "restore", snapshot.ref.name, str(snapshot.ref))
    )
    with recording as detail, ui.read_identity(identity) as opened, _told(str(login)):
        with progress(quiet=as_json) as observer:
            report = put_back(
                config, KINDS, snapshot, login, opened, options, approve=approve, dry_run=dry_run, observer=observer
            )
        detail |= {"target": report.target, "exit_code": 0 if report.ok else 1}
        detail |= {"objects": len(report.objects), "differing": sum(not o.equal for o in report.objects)}
    if as_json:
        _print_json(report)
    elif dry_run:
        _show_checks(report.checks)
    else:
        _render(report)
    if not report.ok:
        raise typer.Exit(1)


def _show_checks(checks: tuple[Diagnosis, ...]) -> None:
    for check in checks:
        diagnoses.show(check)
    ui.say(diagnoses.summary(checks))


def _print_json(report: "RestoreReport") -> None:
    ui.print_json(
        ref=str(report.ref),
        target=report.target,
        ok=report.ok,
        took_s=round(report.took_s, 3),
        rto_s=report.rto_s,
        objects=[restored.as_json(o) for o in report.objects],
        **({} if report.acted else {"checks": [diagnoses.as_json(c) for c in report.checks]}),
    )


def _render(report: "RestoreReport") -> None:
    restored.show(report.objects)
    differing = sum(not o.equal for o in report.objects)
    verdict = "everything came back" if report.ok else f"NOT EQUAL: {differing} of {len(report.objects)} differ"
    ui.say(f"{report.ref} -> {report.target}")
    ui.say(f"{verdict}, in {ui.duration(report.took_s)} (RTO {ui.duration(report.rto_s)})")


@contextmanager
def _told(target: str) -> Iterator[None]:
    """Whatever ends it early: what the target holds now, and what to type next."""
    try:
        yield
    except HalfRestored as error:
        again = sys.argv[1:] if "--replace" in sys.argv else [*sys.argv[1:], "--replace"]
        first, *others = error.hint.splitlines()
        error.hint = "\n".join([first, f"  pullagent {shlex.join(again)}", *others])
        raise
    except Interrupted as error:
        said = "interrupted" if error.exit_code == 130 else "terminated"
        raise RestoreError(f"{said}; nothing was changed on {target}", exit_code=error.exit_code) from error
    except HostError as error:
        error.message += f"\nnothing was changed on {target}"
        raise
