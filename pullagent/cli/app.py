"""The `pullagent` program: global options, the verbs, and the one place where an error becomes an exit code."""

import sys
import traceback
from pathlib import Path
from typing import Annotated, Any, cast

import typer
from typer.main import get_command

from pullagent import __version__, privileges
from pullagent.cli import signals, streams, ui, verbs
from pullagent.cli.service import Priority
from pullagent.errors import Interrupted, PullAgentError, UsageError

# typer names its own error for a wrong command line only through this subclass of it
_CommandLineError = cast("type[typer.BadParameter]", typer.BadParameter.__bases__[0])

app = typer.Typer(
    name="pullagent",
    cls=verbs.Verbs,
    help="Pull database dumps over SSH into an encrypted, dated store; list, fetch and restore them.",
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=verbs.MARKUP,
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
        typer.Option(
            readable=False, help="hosts.toml; else PULLAGENT_CONFIG, /etc/pullagent/hosts.toml or ./hosts.toml."
        ),
    ] = None,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    """What stands before the verb."""
    context.obj = config
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(2)


def whole() -> Any:
    """The command line with every verb loaded, for who wants to know all its options."""
    group: Any = get_command(app)
    group.commands = {name: verbs.loaded(name) for name in verbs.VERBS}
    return group


def main() -> None:
    """Run the command line; ends the process with a documented exit code."""
    privileges.harden()
    ui.prepare_streams()
    code = _run(sys.argv[1:])
    error = streams.lost(sys.stdout)
    # a reader that has seen enough is no failure
    if error is not None and not isinstance(error, BrokenPipeError):
        ui.fail(PullAgentError(f"the output: {error.strerror}", "it is not complete: free space there, or look again"))
        code = code or 1
    streams.lost(sys.stderr)
    sys.exit(code)


def _run(arguments: list[str]) -> int:
    unmet: int | None = None
    try:
        try:
            signals.become_exceptions()
            result = get_command(app).main(args=arguments, prog_name="pullagent", standalone_mode=False)
        finally:
            unmet = signals.disregard()
        return result if isinstance(result, int) else 0
    except PullAgentError as error:
        ui.fail(error)
        # a terminal's Ctrl-C ends age as well, and that may be noticed first
        return 128 + unmet if unmet else error.exit_code
    except Interrupted as error:
        ui.fail(PullAgentError("interrupted" if error.exit_code == 130 else "terminated", "run it again when it suits"))
        return error.exit_code
    except typer.Abort:
        ui.fail(PullAgentError("interrupted"))
        return 130
    except _CommandLineError as error:
        name = error.ctx.command_path if error.ctx else "pullagent"
        ui.fail(UsageError(error.format_message() or "what should it do?", f"{name} --help"))
        from pullagent.cli.nagios import UNKNOWN

        # 2 would tell a monitoring system of a verdict
        return UNKNOWN if _asks_for_status(error, arguments) else 2
    except OSError as error:
        ui.fail(PullAgentError(f"{error.filename or 'the system'}: {error.strerror}"))
        return 1
    except Exception as error:
        ui.fail(PullAgentError(f"internal error: {error!r}", "this is a defect: report it, with what stands below"))
        ui.tell(traceback.format_exc().rstrip(), Priority.ERROR)
        return 1


def _asks_for_status(error: typer.BadParameter, arguments: list[str]) -> bool:
    """Whether a wrong command line is one of `status`; before the verb is known, whether it stands in it."""
    if error.ctx is None or error.ctx.parent is None:
        return "status" in arguments
    return error.ctx.info_name == "status"
