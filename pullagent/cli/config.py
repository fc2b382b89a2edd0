"""`pullagent config`: check hosts.toml, print its schema."""

import json
import sys

import typer

from pullagent import config as configs
from pullagent.cli import ui
from pullagent.cli.verbs import Group
from pullagent.sources import KINDS
from pullagent.tables import schema as schema_of

app = typer.Typer(cls=Group, help="Check hosts.toml, or print its JSON schema.", no_args_is_help=True)


def register(within: typer.Typer) -> None:
    """Add the group."""
    within.add_typer(app, name="config")


@app.command()
def check(context: typer.Context) -> None:
    """Check hosts.toml, the files it names, and that age takes the recipients."""
    config = ui.config_of(context)
    configs.check_files(config)
    from pullagent.seal import check_recipients

    recipients = config.recipients()
    check_recipients(recipients)
    names = config.source_names()
    ui.say(f"{config.path}: good: {len(config.hosts)} hosts, {len(names)} sources, {len(recipients)} recipients")
    for name in names:
        ui.say(f"  {name}  {config.hosts[name.host].sources[name.source].kind}")


@app.command()
def schema() -> None:
    """Print the JSON schema of hosts.toml, for editors."""
    sys.stdout.write(json.dumps(schema_of(KINDS), indent=2) + "\n")
