"""`pullagent fetch`: copy a snapshot out of the store."""

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from pullagent import keys
from pullagent.cli import ui
from pullagent.cli.progress import progress
from pullagent.errors import UsageError


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(fetch)


def fetch(
    context: typer.Context,
    ref: Annotated[str, typer.Argument(metavar="REF", help="HOST/SOURCE@ID, @latest or a prefix.")],
    into: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Where to write HOST_SOURCE_ID/.")
    ] = Path(),
    decrypt: Annotated[bool, typer.Option("--decrypt", help="Decrypt and decompress; needs --identity.")] = False,
    identity: Annotated[
        Path | None, typer.Option(readable=False, metavar="FILE|-", help="The age identity, or - for standard input.")
    ] = None,
) -> None:
    """Copy a snapshot out of the store, checked; encrypted as it is, or decrypted."""
    if decrypt != (identity is not None):
        raise UsageError("--decrypt and --identity belong together", "add the missing one: --decrypt --identity FILE")
    config = ui.config_of(context)
    store, snapshot = ui.find(config, ref)
    from pullagent.fetch import fetch as copy_out

    opening = ui.read_identity(identity) if identity else nullcontext()
    with (
        ui.recorded(config, "fetch", snapshot.ref.name, str(snapshot.ref)),
        opening as opened,
        # bars would be drawn over a question of age's
        progress(quiet=opened is not None and keys.asks_each_time(opened.data)) as observer,
    ):
        target = copy_out(store, snapshot, into, identity=opened, observer=observer)
    ui.say(str(target))
