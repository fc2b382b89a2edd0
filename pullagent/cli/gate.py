"""`pullagent gate`: render what a production host needs to let the pull key in."""

import subprocess
from pathlib import Path
from typing import Annotated

import typer

from pullagent.cli import ui
from pullagent.errors import ConfigError, UsageError, system_error
from pullagent.gate import FILES, README, WRAPPER, Gate, render


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
    """Render the wrapper, authorized_keys line, database grants and sudoers lines of a host, with a checklist."""
    config = ui.config_of(context)
    config.select([host])
    if host not in config.hosts:
        raise UsageError(f"{host} is a source, not a host", f"pullagent gate {host.partition('/')[0]}")
    known = config.hosts[host]
    key = _public_key(known.identity_file)
    through = config.reached_through(known)
    made = render(host, known.user, known.sources, key, tuple(from_addresses or ()), through, known.manner)
    if into is None:
        for name, text in made.files.items():
            ui.say(f"==> {name} <==")
            ui.say(text)
        return
    _write(made, into)
    ui.say(f"{into}: {', '.join(made.files)}  (digest {made.digest[:16]}…)")
    ui.say(f"read {into / README} next: it says what goes where on {host}")


def _write(made: Gate, into: Path) -> None:
    """The files into a directory of their own; what an earlier rendering left there and this one lacks goes."""
    if into.exists() and not into.is_dir():
        raise UsageError(f"{into} is not a directory", "name one, or one that is to be made: -o DIR")
    try:
        into.mkdir(parents=True, exist_ok=True)
        foreign = sorted(entry.name for entry in into.iterdir() if entry.name not in FILES)
        if foreign or (any(into.iterdir()) and not (into / WRAPPER).exists()):
            # a system's own directory may hold a file `sudoers`
            raise UsageError(
                f"{into} holds what is no gate: {', '.join(foreign[:3]) or 'files'}", "name a new directory"
            )
        for name in FILES:
            path = into / name
            path.unlink(missing_ok=True)
            if name in made.files:
                path.write_text(made.files[name])
                path.chmod(0o755 if name == WRAPPER else 0o644)
    except OSError as error:
        raise system_error(into, error) from error


def _public_key(private: Path) -> str:
    """The public half of the pull key; ConfigError when it cannot be had."""
    beside = private.with_name(f"{private.name}.pub")
    try:
        if beside.is_file():
            return beside.read_text()
        # an empty passphrase, so that nothing is asked for
        made = subprocess.run(
            ["ssh-keygen", "-y", "-P", "", "-f", str(private)], capture_output=True, text=True, check=False
        )
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{beside}: {error}", f"write the pull key's public half there, on {private}") from error
    if made.returncode:
        said = made.stderr.strip().splitlines()
        raise ConfigError(
            f"{private}: no public half to be had from it: {said[-1] if said else 'ssh-keygen failed'}",
            f"make the pull key: ssh-keygen -t ed25519 -N '' -f {private}"
            if not private.exists()
            else f"write the public half into {beside}",
        )
    return made.stdout
