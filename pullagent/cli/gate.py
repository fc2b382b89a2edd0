"""`pullagent gate`: render what a production host needs to let the pull key in."""

import subprocess
from pathlib import Path
from typing import Annotated

import typer

from pullagent.cli import ui
from pullagent.errors import ConfigError, UsageError, system_error
from pullagent.gate import render


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(gate)


def gate(
    context: typer.Context,
    host: Annotated[str, typer.Argument(metavar="HOST", help="A host of hosts.toml.")],
    into: Annotated[Path | None, typer.Option("--output", "-o", metavar="DIR", help="Write the files here.")] = None,
    from_addresses: Annotated[
        list[str] | None, typer.Option("--from", metavar="ADDRESS", help="Let the key in from this address alone.")
    ] = None,
) -> None:
    """Render the forced-command wrapper, the authorized_keys line and the database grants for a host."""
    config = ui.config_of(context)
    config.select([host])
    if host not in config.hosts:
        raise UsageError(f"{host} is a source, not a host", f"pullagent gate {host.partition('/')[0]}")
    known = config.hosts[host]
    made = render(host, known.user, known.sources, _public_key(known.identity_file), tuple(from_addresses or ()))
    if into is None:
        for name, text in made.files.items():
            ui.say(f"==> {name} <==")
            ui.say(text)
        return
    try:
        into.mkdir(parents=True, exist_ok=True)
        for name, text in made.files.items():
            path = into / name
            path.write_text(text)
            path.chmod(0o755 if name == "pullagent-gate" else 0o644)
    except OSError as error:
        raise system_error(into, error) from error
    ui.say(f"{into}: {', '.join(made.files)}  (digest {made.digest[:16]}…)")
    ui.say(f"read {into / 'README'} next: it says what goes where on {host}")


def _public_key(private: Path) -> str:
    """The public half of the pull key; ConfigError when it cannot be had."""
    beside = private.with_name(private.name + ".pub")
    if beside.is_file():
        return beside.read_text()
    made = subprocess.run(["ssh-keygen", "-y", "-f", str(private)], capture_output=True, text=True, check=False)
    if made.returncode:
        raise ConfigError(
            f"{private}: no public half to be had from it",
            f"make the pull key: ssh-keygen -t ed25519 -N '' -f {private}",
        )
    return made.stdout
