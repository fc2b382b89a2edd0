"""`pullagent trust`: pin a host's SSH key."""

import sys
from typing import Annotated

import typer

from pullagent.cli import ui
from pullagent.errors import UsageError


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(trust)


def trust(
    context: typer.Context,
    host: Annotated[str, typer.Argument(metavar="HOST", help="A name from hosts.toml, or HOST[:PORT].")],
    fingerprint: Annotated[
        str | None, typer.Option(metavar="SHA256:...", help="Pin only a key with this one; do not ask.")
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace the pinned key of a rebuilt host.")] = False,
) -> None:
    """Fetch a host's SSH key without logging in, show its fingerprint, and pin it once you confirm."""
    config = ui.config_of(context)
    if fingerprint is not None and not fingerprint.startswith("SHA256:"):
        raise UsageError(
            f"{fingerprint!r} is not a SHA-256 fingerprint",
            "write it as ssh-keygen -lf shows it: --fingerprint SHA256:…",
        )
    if fingerprint is None and not sys.stdin.isatty():
        raise UsageError("there is no terminal to ask on", "give the fingerprint you expect: --fingerprint SHA256:…")
    from pullagent import trust as trusting
    from pullagent.host.keys import HostKey
    from pullagent.logins import limits, trust_login

    def confirm(shown: HostKey, pinned: tuple[HostKey, ...]) -> bool:
        for key in pinned:
            ui.tell(f"pinned: {key.kind} {key.fingerprint}")
        ui.tell(f"shown:  {shown.kind} {shown.fingerprint}")
        ui.tell(f"Compare on its own console:  {shown.compare}")
        return (ui.ask("Is it the same? Type yes to pin it:") or "").lower() == "yes"

    login = trust_login(config, host)
    with ui.recorded(config, "trust", host=login.name) as detail:
        result = trusting.trust(login, limits(config), confirm=confirm, fingerprint=fingerprint, replace=replace)
        detail |= {"fingerprint": result.shown.fingerprint, "replaced": [k.fingerprint for k in result.replaced]}
    for key in result.replaced:
        ui.say(f"{login.name}: {key.kind} {key.fingerprint} is no longer trusted")
    state = "pinned" if result.written else "was pinned already"
    ui.say(f"{login.name}: {result.shown.kind} {result.shown.fingerprint} {state} in {login.known_hosts}")
