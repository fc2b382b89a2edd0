"""The shape of the package, read from its syntax trees: imports point down, and some things happen in one place."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.unit.toml import changed, document

PACKAGE = Path(__file__).parents[1] / "pullagent"

# A module imports only from lines below its own. A new module belongs on one of these lines, or on one of its own.
LAYERS = """
    the program          __main__
    command line         cli.app
    its verbs            cli.config cli.doctor cli.fetch cli.gate cli.list cli.restore cli.run cli.show cli.trust
    further verbs        cli.drill cli.history cli.init cli.key cli.mirror cli.pin cli.prune cli.status cli.verify
    which there are      cli.verbs
    its progress         cli.progress cli.nagios
    bars of that         cli.bars
    what is counted      cli.tally
    its lists            cli.diagnoses cli.members cli.restored
    its screen           cli.ui cli
    tables on it         cli.tables
    signals to it        cli.signals
    its service manager  cli.service cli.streams cli.screen
    a whole run          run
    what is told of it   monitoring.announce
    its package          monitoring
    restoration test     drill
    use cases            contents doctor fetch prune pull restore monitoring.status trust verify
    parts of theirs      doctor.local examine expiry turns
    the keys' proof      key_check
    its numbers          monitoring.metrics
    its mirrors          monitoring.copies
    its letters          monitoring.bulletin
    its post             monitoring.notify monitoring.messenger
    its verdicts         monitoring.verdicts
    its facts            monitoring.chronicle
    its growth           drill.growth
    its servers' place   drill.throwaway
    commands right here  drill.local
    the first hour       init
    its hosts.toml       template
    mirrors kept         mirror
    gates of hosts       gate
    opened for them      logins opened
    a host in a pull     wire.remote
    its shell and pace   wire.choice wire.commands wire.frames wire.pace wire
    source kinds         sources
    each kind            sources.files sources.git sources.influxdb sources.mysql
    their restores       sources.files.restore sources.git.restore sources.influxdb.restore sources.mysql.restore
    a mirror's bundle    sources.git.bundle
    a mirror             sources.git.mirror
    what it follows      sources.git.upstream
    the way there        sources.git.line
    what it counts       sources.git.lfs
    git itself           sources.git.program
    its refs and places  sources.git.packets sources.git.refs sources.git.url
    tar, and its place   sources.files.remarks sources.files.target
    what came back       sources.files.compare sources.mysql.compare
    what is half done    sources.halfway
    servers of a drill   sources.influxdb.throwaway sources.mysql.throwaway
    their loads          sources.mysql.load
    their servers        sources.mysql.server
    files beside them    sources.influxdb.files
    users beside them    sources.influxdb.users
    parts and keys       sources.mysql.keys sources.mysql.parts
    their commands       sources.influxdb.commands sources.mysql.commands
    their commands' words  sources.files.archive
    their inventories    sources.influxdb.inventory sources.mysql.inventory
    their accounts       sources.mysql.accounts
    the kinds' seam      sources.base
    their trees          checks.tree
    content checks       checks.bundle checks.dump checks.tar checks
    what they share      checks.answers
    production host      host
    its parts            host.command host.keys
    its connection       host.connection
    its failures         host.failures
    its bounds           host.bounds host.buffer
    its login            host.login
    stray identities     identities
    store and seal       store seal plausibility retention
    parts of a seal      seal.age seal.compressor seal.identity seal.stored
    identities' locks    keys
    its tree             store.catalogue store.staging
    a look into it       store.look
    notes on mirrors     store.mirrors
    its file system      store.durable store.locks
    that it is there     store.used
    its strangers, marks  store.foreign store.damage
    the ledger           ledger
    how it saw the clock  clock
    configuration        config
    its tables           tables
    what keys may hold   fields
    the manifest         manifest store.pins
    other programs       programs
    work side by side    workers
    its rights           privileges
    the values           model
    a doctor's finding   diagnosis
    their words          words
    the errors           errors
    the version          pullagent
"""

# Needed for type checking alone, so that nothing is imported at run time.
TYPES_ONLY = {("model", "manifest")}

# What a package may never import, however far down it stands.
NEVER = {
    "sources": ("store", "seal", "host", "config", "ledger"),
    "checks": ("store", "seal", "host", "sources", "manifest"),
    "store": ("seal", "host", "sources", "checks", "config", "ledger"),
    "seal": ("store", "host", "sources", "checks", "config"),
    "host": ("store", "seal", "sources", "checks", "config", "ledger"),
}

# Libraries and standard modules that belong to one part, or to few.
ONLY_IN: dict[str, tuple[str, ...]] = {
    "fabric": ("host",),
    "paramiko": ("host",),
    "zstandard": ("seal", "wire.remote"),
    "pydantic": (),
    "subprocess": (
        "seal",
        "keys",
        "cli.gate",
        "programs",
        "monitoring.notify",
        "drill.local",
        "drill.throwaway",
        "sources.git.program",
    ),
    "typer": ("cli",),
    "click": ("cli",),
    "rich": ("cli",),
}

# Decisions: no I/O, no clock, no chance.
PURE = (
    "plausibility",
    "retention",
    "clock",
    "template",
    "gate",
    "monitoring.verdicts",
    "monitoring.bulletin",
    "monitoring.chronicle",
    "monitoring.copies",
    "monitoring.metrics",
    "drill.growth",
    "words",
    "turns",
    "wire.choice",
    "wire.commands",
    "wire.frames",
    "checks.bundle",
    "checks.dump",
    "checks.answers",
    "sources.git.packets",
    "sources.git.refs",
    "sources.git.url",
    "checks.tree",
    "sources.files.archive",
    "sources.files.compare",
    "sources.mysql.accounts",
    "sources.mysql.commands",
    "sources.mysql.inventory",
    "sources.mysql.keys",
    "sources.mysql.parts",
    "sources.influxdb.commands",
    "sources.influxdb.inventory",
    "sources.influxdb.users",
)
IMPURE_MODULES = {"os", "io", "time", "random", "socket", "subprocess", "shutil", "tempfile", "secrets", "sys"}


class Import(NamedTuple):
    """One import statement's target; `types_only` under TYPE_CHECKING."""

    target: str
    types_only: bool


@cache
def modules() -> dict[str, ast.Module]:
    """The package's modules by name without `pullagent.`, but the package itself as `pullagent`."""
    found = {}
    for file in sorted(PACKAGE.rglob("*.py")):
        parts = file.relative_to(PACKAGE).with_suffix("").parts
        name = ".".join(parts).removesuffix("__init__").rstrip(".") or "pullagent"
        found[name] = ast.parse(file.read_text(), str(file))
    return found


@cache
def layers() -> list[list[str]]:
    """The table's lines from the top, each as its modules."""
    return [line.strip().partition("  ")[2].split() for line in LAYERS.strip().splitlines()]


def imports(name: str) -> Iterator[Import]:
    """Everything that a module imports, at its head and within functions; ours without `pullagent.`."""
    tree = modules()[name]
    guarded = {
        id(statement)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for statement in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(_own(alias.name), id(node) in guarded)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                inner = _own(f"{node.module}.{alias.name}")
                yield Import(inner if inner in modules() else _own(node.module or ""), id(node) in guarded)


def _own(target: str) -> str:
    return target.removeprefix("pullagent.") if target.startswith("pullagent.") else target


def within(name: str, part: str) -> bool:
    """Whether a module is `part` or stands in that package."""
    return name == part or name.startswith(f"{part}.")


def test_the_table_names_every_module_once() -> None:
    """A new module must be given its place in the table; one that has gone must leave it."""
    listed = [name for line in layers() for name in line]
    assert sorted(listed) == sorted(modules()), "write the module into LAYERS, or take it out"


@pytest.mark.parametrize("name", modules())
def test_imports_point_down(name: str) -> None:
    """A module imports only from lines below its own: so there is no cycle either."""
    level = {module: number for number, line in enumerate(layers()) for module in line}
    upwards = [
        found.target
        for found in imports(name)
        if found.target in modules()
        and level[found.target] <= level[name]
        and not (found.types_only and (name, found.target) in TYPES_ONLY)
    ]
    assert not upwards, f"{name} imports {upwards}, which stand beside it or above it in LAYERS"


@pytest.mark.parametrize(("part", "forbidden"), NEVER.items())
def test_parts_stay_ignorant_of_each_other(part: str, forbidden: tuple[str, ...]) -> None:
    """A source knows nothing of store and keys, the store nothing of hosts, and so on."""
    found = [
        (name, target)
        for name in modules()
        if within(name, part)
        for target, _ in imports(name)
        if any(within(target, other) for other in forbidden)
    ]
    assert not found


def test_source_kinds_do_not_import_one_another() -> None:
    """A source kind is one file (and parts named after it) that knows no other kind."""
    kinds = {target for target, _ in imports("sources") if within(target, "sources")} - {"sources.base"}
    assert kinds, "the registry imports no kind"
    for name in modules():
        own = next((kind for kind in kinds if name.startswith(kind)), None)
        if within(name, "sources") and name != "sources":
            others = {target for target, _ in imports(name)} & kinds - {own}
            assert not others, f"{name} imports {others}"


@pytest.mark.parametrize(("library", "parts"), ONLY_IN.items())
def test_a_library_is_used_in_one_place(library: str, parts: tuple[str, ...]) -> None:
    """Fabric, zstandard, typer, rich and the starting of programs each belong to one part."""
    users = {name for name in modules() for target, _ in imports(name) if within(target, library)}
    assert {name for name in users if not any(within(name, part) for part in parts)} == set()


def test_only_seal_and_keys_start_age() -> None:
    """No argument list outside seal, and keys for what the identity itself is under, begins with the age program."""
    starting = {
        name
        for name, tree in modules().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.List | ast.Tuple) and len(node.elts) > 1
        if isinstance(node.elts[0], ast.Constant) and node.elts[0].value == "age"
    }
    assert starting == {"seal.age", "keys"}


def test_only_the_command_line_prints_and_exits() -> None:
    """Outside cli nothing prints, asks, ends the process or touches the standard streams."""
    found = [
        f"{name}:{node.lineno}"
        for name, tree in modules().items()
        if not within(name, "cli")
        for node in ast.walk(tree)
        if isinstance(node, ast.expr) and _speaks(node)
    ]
    assert not found


def _speaks(node: ast.expr) -> bool:
    if isinstance(node, ast.Name):
        return node.id in {"print", "input", "exit", "quit", "SystemExit", "breakpoint"}
    streams = ("sys.stdin", "sys.stdout", "sys.stderr")
    text = ast.unparse(node)
    return text in (*streams, "sys.exit", "sys.argv", "os._exit", "os.abort") or text.startswith("traceback.print_")


@pytest.mark.parametrize("name", [name for name in PURE if name in modules()])
def test_decisions_are_pure(name: str) -> None:
    """Modules that decide read no clock, no file and no environment: what they need comes in as arguments."""
    assert {target for target, _ in imports(name)} & IMPURE_MODULES == set()
    calls = [ast.unparse(n.func) for n in ast.walk(modules()[name]) if isinstance(n, ast.Call)]
    assert not [c for c in calls if c.endswith((".now", ".utcnow", ".today")) or c == "open"]


NEEDLESS = ("fabric", "paramiko", "cryptography", "pydantic", "rich", "zstandard", "asyncio", "email")


@pytest.mark.parametrize("arguments", [["--help"], ["list"], ["status"], ["prune", "--dry-run"]], ids=" ".join)
def test_a_look_loads_no_more_than_it_needs(tmp_path: Path, arguments: list[str]) -> None:
    """Who looks waits for imports first: none that connects, compresses, restores or draws for a terminal."""
    (tmp_path / "hosts.toml").write_text(document(changed("store path", "store")))
    code = (
        f"import atexit, sys; atexit.register(lambda: print(*sys.modules, file=sys.stderr)); sys.argv[1:] = {arguments}"
    )
    code += "; from pullagent.__main__ import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=PACKAGE.parent,
        timeout=60,
        env=os.environ | {"PULLAGENT_CONFIG": str(tmp_path / "hosts.toml")},
    )
    loaded = set(done.stderr.splitlines()[-1].split())
    assert "pullagent.cli.app" in loaded
    assert {name for name in loaded if name.partition(".")[0] in NEEDLESS} == set()
    assert {name for name in loaded if name.endswith((".restore", ".throwaway"))} == set()
