"""The `pullagent` program: global options, the verbs, and the one place where an error becomes an exit code."""

import os
import sys
from pathlib import Path
from typing import Annotated, cast

import typer
from typer.main import get_command

from pullagent import __version__
from pullagent.cli import config as config_verbs
from pullagent.cli import fetch, restore, run, show, trust, ui
from pullagent.cli import list as list_verb
from pullagent.errors import PullAgentError, UsageError

# typer names its own error for a wrong command line only through this subclass of it
_CommandLineError = cast("type[typer.BadParameter]", typer.BadParameter.__bases__[0])

app = typer.Typer(
    name="pullagent",
    help="Pull database dumps over SSH into an encrypted, dated store; list, fetch and restore them.",
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        ui.say(f"pullagent {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    context: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option(help="hosts.toml; else PULLAGENT_CONFIG, /etc/pullagent/hosts.toml or ./hosts.toml."),
    ] = None,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    """What stands before the verb."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(2)


for verb in (run, list_verb, show, fetch, restore, trust):
    verb.register(app)
app.add_typer(config_verbs.app, name="config")


def main() -> None:
    """Run the command line; ends the process with a documented exit code."""
    os.umask(0o077)
    ui.stop_on_sigterm()
    sys.exit(_run(sys.argv[1:]))


def _run(arguments: list[str]) -> int:
    try:
        result = get_command(app).main(args=arguments, prog_name="pullagent", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except PullAgentError as error:
        ui.fail(error)
        return error.exit_code
    except typer.Abort:
        ui.fail(PullAgentError("interrupted"))
        return 130
    except _CommandLineError as error:
        name = error.ctx.command_path if error.ctx else "pullagent"
        ui.fail(UsageError(error.format_message() or "what should it do?", f"{name} --help"))
        return 2
    except KeyboardInterrupt as error:
        code = 143 if isinstance(error, ui.Terminated) else 130
        ui.fail(
            PullAgentError("terminated" if code == 143 else "interrupted", "whatever was not yet published is gone")
        )
        return code
    except BrokenPipeError:
        # the reader of our output left: nothing more can be said there
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
