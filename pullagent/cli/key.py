"""`pullagent key`: prove that an identity opens what is stored."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pullagent import keys
from pullagent.cli import ui
from pullagent.cli.verbs import Group
from pullagent.errors import NoSuchSnapshot, WrongIdentity
from pullagent.store import Store

if TYPE_CHECKING:
    from pullagent.key_check import KeyCheck

app = typer.Typer(cls=Group, help="Prove that a held identity opens what is stored.", no_args_is_help=True)


def register(within: typer.Typer) -> None:
    """Add the group."""
    within.add_typer(app, name="key")


@app.callback()
def _keys() -> None:
    """Keep `check` a word of its own: with one verb alone typer would drop it."""


@app.command()
def check(
    context: typer.Context,
    identity: Annotated[
        Path, typer.Option(readable=False, metavar="FILE|-", help="The age identity, or - for standard input.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Open the newest snapshot of each source, as far as its first bytes; nothing is written in clear."""
    config = ui.config_of(context)
    from pullagent import key_check

    store = Store(config.store)
    with ui.read_identity(identity) as opened:
        ui.as_store_owner(config)
        public = keys.public_keys(opened.data)
        checks = []
        for name, snapshot in key_check.newest(config, store):
            if snapshot is None:
                checks.append(key_check.check(store, name, None, opened, public))
                continue
            with ui.recorded(config, "key check", name, str(snapshot.ref)) as detail:
                found = key_check.check(store, name, snapshot, opened, public)
                detail |= {"exit_code": found.exit_code, "recipient": found.recipient}
                checks.append(found)
    recipient = next((c.recipient for c in checks if c.recipient), None)
    code = key_check.exit_code(checks)
    if as_json:
        ui.print_json(checks=[_as_json(c) for c in checks], recipient=recipient)
    else:
        _render(checks, recipient, code)
    if code:
        raise typer.Exit(code)


def _as_json(found: "KeyCheck") -> dict[str, object]:
    return {
        "ref": str(found.snapshot.ref) if found.snapshot else None,
        "host": found.name.host,
        "source": found.name.source,
        "opens": found.opens,
        "detail": found.detail,
    }


def _render(checks: "list[KeyCheck]", recipient: str | None, code: int) -> None:
    rows = [
        (str(c.snapshot.ref if c.snapshot else c.name), "-" if c.opens is None else "yes" if c.opens else "NO")
        for c in checks
    ]
    ui.table(("Newest snapshot", "Opens"), rows)
    if recipient:
        ui.say(f"Its public key: {recipient}")
    for found in checks:
        if found.opens is False:
            ui.tell(f"{found.name}: {found.detail}")
    if code == 10:
        ui.fail(NoSuchSnapshot("nothing is stored yet, so nothing is proven", "pullagent run"))
    elif code == 12:
        newest = next(c.snapshot.ref for c in checks if c.snapshot and c.opens is False)
        hint = f"pullagent show {newest}   names the recipients it was encrypted to"
        ui.fail(WrongIdentity("this identity does not open all that is stored", hint))
