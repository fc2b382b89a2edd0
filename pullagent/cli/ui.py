"""What the verbs share: where text goes, how errors, tables, sizes and times look, and the ledger's line."""

import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import typer

from pullagent import privileges
from pullagent.cli import streams, tables
from pullagent.cli.screen import Screen
from pullagent.cli.screen import clean as clean
from pullagent.cli.service import Priority, credential, mark
from pullagent.errors import ConfigError, Interrupted, PullAgentError, StoreError, UsageError
from pullagent.words import span as span

# what reads a configuration or a store is loaded where that is done: help and completion need none of it
if TYPE_CHECKING:
    from pullagent.config import Config
    from pullagent.model import Snapshot, SourceName
    from pullagent.seal import Identity
    from pullagent.store import Store

CONFIG_PLACES = (Path("/etc/pullagent/hosts.toml"), Path("hosts.toml"))

out = Screen()
err = Screen(stderr=True)


def prepare_streams() -> None:
    """All three are there, and what becomes of the output ends nothing."""
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("r" if name == "stdin" else "w"))  # noqa: SIM115 - it stands in for a stream
    streams.guard()


def typed(text: str) -> str:
    """An argument's text as it was typed, whatever the locale: UTF-8, and bytes that are none shown as escapes."""
    return os.fsencode(text).decode(errors="backslashreplace")


def say(text: str = "", priority: Priority | None = None) -> None:
    """One line on standard output; its priority in the journal is that of its beginning unless given."""
    _put(out, priority, (clean(text), ""))


def tell(text: str, priority: Priority | None = None) -> None:
    """One line on standard error, for what goes along with the result; its priority as with `say`."""
    _put(err, priority, (clean(text), ""))


def fail(error: PullAgentError) -> None:
    """`error:` and `hint:` on standard error."""
    for number, line in enumerate(error.message.splitlines() or [""]):
        head = ("error: ", "bold red") if not number else ("       ", "")
        # on a terminal words stay whole; what is to be copied from stands in hints, which are never broken
        _put(err, Priority.ERROR, head, (clean(line), ""), fit=True)
    for line in error.hint.splitlines():
        _put(err, Priority.NOTICE, ("hint: ", "bold cyan"), (clean(line), ""))


def _put(screen: Screen, priority: Priority | None, *parts: tuple[str, str], fit: bool = False) -> None:
    """Print; in the journal each line with its priority, so that no text from elsewhere can claim another."""
    plain = "".join(text for text, _ in parts)
    prefix = mark(screen.stream, Priority.of(plain) if priority is None else priority)
    if prefix:
        parts = ((prefix + plain.replace("\n", f"\n{prefix}"), ""),)
    screen.put(*parts, fit=fit)


def print_json(**fields: Any) -> None:
    """One JSON object with the format's number."""
    # the standard library's encoder takes four times as long where it is to indent
    text = json.dumps({"format": 1} | fields, ensure_ascii=True)
    sys.stdout.write(msgspec.json.format(text, indent=2) + "\n")


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str] = ()) -> None:
    """A table on a terminal; else aligned plain lines, never cut. The first column is never cut or wrapped."""
    tables.table(out, columns, rows, right)


def facts(pairs: Sequence[tuple[str, str]]) -> None:
    """Names and values, a line each; on a terminal long values go on below their beginning."""
    pairs = [(name, tables.one_line(value)) for name, value in pairs]
    if out.is_terminal:
        tables.facts(out, pairs)
        return
    width = max(len(name) for name, _ in pairs) + 2
    for name, value in pairs:
        say(f"{name + ':':{width}}{value}")


def size(count: int | None) -> str:
    """Bytes in decimal units, about three digits."""
    if count is None:
        return "?"
    value, unit = float(count), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 999.5 or unit == "TB":
            break
        value /= 1000
    return f"{value:.0f} {unit}" if unit == "B" or value >= 99.5 else f"{value:.3g} {unit}"


def duration(seconds: float | None) -> str:
    """A span of time in the one or two units that matter."""
    if seconds is None:
        return "?"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole % 60 else f"{whole // 60} min"
    if whole < 10 * 3600:
        minutes = whole % 3600 // 60
        return f"{whole // 3600} h {minutes} min" if minutes else f"{whole // 3600} h"
    return f"{whole // 3600} h" if whole < 48 * 3600 else f"{whole // 86400} d"


def load_config(path: Path | None) -> "Config":
    """hosts.toml from --config, PULLAGENT_CONFIG, /etc/pullagent or here, with the pull key of a unit's credential."""
    if path is None and os.environ.get("PULLAGENT_CONFIG"):
        path = Path(os.environ["PULLAGENT_CONFIG"])
    if path is None:
        path = next((place for place in CONFIG_PLACES if os.access(place, os.F_OK)), None)
    if path is None:
        places = " nor ".join(str(place) for place in CONFIG_PLACES)
        raise ConfigError(f"there is no hosts.toml: neither {places}", "give --config FILE, or set PULLAGENT_CONFIG")
    from pullagent import config as configs
    from pullagent.sources import KINDS

    config, given = configs.load(path, KINDS), credential("ssh-key")
    return configs.with_pull_key(config, given) if given else config


def config_of(context: typer.Context) -> "Config":
    """The configuration that the global options name."""
    return load_config(context.obj)


def as_store_owner(config: "Config") -> "Config":
    """Where root works on another user's store, become that user; the configuration with keys that still open.

    For verbs that work on the store alone, once they have read what only root may read.
    """
    owner = privileges.owner_to_become(config.store)
    if owner is None:
        return config
    if unreadable := privileges.unreadable_to(owner):
        raise UsageError(
            f"the store belongs to {owner.name}, who may not read the program in {unreadable}",
            "install it where everybody may read it, such as /opt/pullagent",
        )
    from pullagent import config as configs

    kept = {file: privileges.held(file, owner) for file in config.pull_keys()}
    privileges.become(owner)
    return configs.with_keys(config, kept)


def find(config: "Config", reference: str) -> "tuple[Store, Snapshot]":
    """The store, and the snapshot that a reference means."""
    from pullagent.model import RefQuery
    from pullagent.store import Store

    store = Store(config.store)
    return store, store.resolve(RefQuery.parse(reference))


def read_identity(source: Path) -> "Identity":
    """The identity from a file, or from standard input for `-`; a passphrase before it is asked for once, here."""
    from pullagent import keys
    from pullagent.seal import IDENTITY_LIMIT, Identity

    identity = Identity(sys.stdin.buffer.read(IDENTITY_LIMIT + 1)) if str(source) == "-" else Identity.read(source)
    if not keys.is_locked(identity.data):
        return identity
    with identity:
        tell("The identity has a passphrase. It is opened in memory alone; its file stays as it is.")
        return Identity(keys.unlocked(identity.data))


def ask(question: str) -> str | None:
    """What is typed in answer, without spaces around it; None at the end of input."""
    from rich.text import Text

    try:
        return err.console.input(Text(f"{clean(question)} ")).strip()
    except EOFError:
        tell("")
        return None


def need_terminal() -> None:
    """UsageError where a question cannot be asked."""
    if not sys.stdin.isatty():
        raise UsageError("this needs a confirmation, and there is no terminal to ask on", "add --yes")


def confirm(question: str, *, yes: bool) -> None:
    """Ask on the terminal; UsageError without one unless `yes`."""
    if yes:
        return
    need_terminal()
    # read, not copied: on a terminal its words stay whole
    _put(err, None, (clean(question), ""), fit=True)
    if (ask("type yes to go on:") or "").lower() != "yes":
        raise UsageError("not confirmed; nothing was done")


@contextmanager
def recorded(
    config: "Config", event: str, name: "SourceName | None" = None, ref: str | None = None, host: str | None = None
) -> Iterator[dict[str, Any]]:
    """Write the verb's line into the ledger when it ends, however it ends. What is put into the dict is its detail;
    its keys `exit_code` and `took_s` are taken as the verb's.
    """
    from pullagent.ledger import Ledger
    from pullagent.store import Store

    begun, detail, code = time.monotonic(), dict[str, Any](), 1
    try:
        yield detail
        code = detail.pop("exit_code", 0)
    except PullAgentError as error:
        code = error.exit_code
        detail["error"] = error.message
        raise
    except Interrupted as error:
        code = error.exit_code
        raise
    except Exception as error:
        detail["error"] = repr(error)
        raise
    finally:
        store = Store(config.store)
        try:
            # a trust before the first run leaves no line: a store must not come to be by it, owned by who knows whom
            if store.there:
                with privileges.acting_as(privileges.owner_to_become(store.root)):
                    Ledger(store.ledger_path).append(
                        event,
                        ok=code == 0,
                        exit_code=code,
                        took_s=detail.pop("took_s", time.monotonic() - begun),
                        host=name.host if name else host,
                        source=name.source if name else None,
                        ref=ref,
                        detail=detail,
                    )
        except StoreError as error:
            tell(f"warning: this was not written to the ledger: {error.message}")
