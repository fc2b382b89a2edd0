"""The verbs: which module has each. It is loaded when the verb is called, for most load much and some connect."""

import importlib
import sys
from typing import Any, Literal

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

# help is drawn where somebody looks; elsewhere its lines are plain, and nothing is loaded to draw them
MARKUP: Literal["rich"] | None = "rich" if sys.stdout is not None and sys.stdout.isatty() else None
# what `pullagent --help` says of each, in its order: the first paragraph of the verb's own help
VERBS = {
    "init": "Write a first hosts.toml and make the pull key; asks on a terminal for what no option says.",
    "run": "Pull sources into the store: all, a host's, or those named.",
    "mirror": "Compare each mirror of a git repository with its upstream, and bring it up to it.",
    "list": "List the snapshots in the store, newest first.",
    "show": "Show one snapshot: what it is, its artifacts, where it lies; with --files what is in it.",
    "status": "Say whether each source keeps its objective; exit 0 OK, 1 warning, 2 critical, 3 unknown.",
    "fetch": "Copy a snapshot out of the store, checked; encrypted as it is, or decrypted.",
    "verify": "Hash stored files again and compare them with their manifests; with an identity, check what they "
    "hold too.",
    "restore": "Restore a snapshot onto a rebuilt host: look at everything first, load, and compare what came back.",
    "drill": "Restore onto a throwaway server of this machine, compare, measure, remove all, and record it.",
    "prune": "Remove the snapshots that retention lets go.",
    "forget": "Remove one snapshot for good, whatever its age; never a pinned one, nor the last good one of its "
    "source.",
    "pin": "Keep a snapshot, whatever its age, until it is unpinned.",
    "unpin": "Leave a pinned snapshot to retention again.",
    "history": "Show what was done: every run, pull, fetch, restore, verification and so on; who, when, how it ended.",
    "trust": "Fetch a host's SSH key without logging in, show its fingerprint, and pin it once you confirm.",
    "gate": "Render the wrapper, authorized_keys line, database grants and sudoers lines of a host, with a checklist.",
    "doctor": "Look at everything that backups depend on, here and on the hosts; 1 when something failed.",
    "config": "Check hosts.toml, or print its JSON schema.",
    "key": "Prove that a held identity opens what is stored.",
}
# those that do not stand in a module of their name
_ELSEWHERE = {"forget": "prune", "unpin": "pin"}


class Group(TyperGroup):
    """A group whose help tells the whole of what its verbs say of themselves, wherever it goes."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        for command in self.commands.values():
            command.short_help = command.short_help or command.help


class Verbs(TyperGroup):
    """The program's verbs, of which lists name all and load none."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = {name: TyperCommand(name, help=text, short_help=text) for name, text in VERBS.items()}

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The verb that a command line names, loaded."""
        name, found, rest = super().resolve_command(ctx, args)
        return name, found and loaded(str(name)), rest


def module_of(name: str) -> str:
    """The module of `pullagent.cli` that has a verb."""
    return _ELSEWHERE.get(name, name)


def loaded(name: str) -> Any:
    """A verb, or a group of some, as its module has it."""
    within = typer.Typer(pretty_exceptions_enable=False, rich_markup_mode=MARKUP)
    # with it even a single verb is one of a group
    within.callback()(lambda: None)
    importlib.import_module(f"pullagent.cli.{module_of(name)}").register(within)
    group: Any = get_command(within)
    return group.commands[name]
