"""`pullagent init`: set up a backup server, by questions or by options."""

import os
import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from pullagent import identities, seal
from pullagent import init as setting_up
from pullagent.cli import ui
from pullagent.errors import PullAgentError, UsageError
from pullagent.model import Address, is_safe_name
from pullagent.sources import KINDS
from pullagent.tables import recipient as checked_recipient
from pullagent.template import Plan, hosts_toml

STORE, USER = Path("/srv/pullagent"), "pullagent"
T = TypeVar("T")
_EXAMPLE = "pullagent init --recipient age1… --host pavroto-2 --mysql agama"


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(init)


@dataclass(frozen=True)
class Given:
    """What the options say, and then the answers; None or empty for what they do not."""

    store: Path | None
    recipients: tuple[str, ...]
    recipients_file: Path | None
    new_identity: Path | None
    host: str | None
    address: str | None
    user: str | None
    mysql: tuple[str, ...]
    influxdb: tuple[str, ...]
    files: tuple[str, ...]

    def missing(self) -> list[str]:
        """The options that have no default."""
        wanted = {
            "--recipient": self.recipients or self.recipients_file or self.new_identity,
            "--host": self.host,
            "--mysql, --influxdb or --files": self.mysql or self.influxdb or self.files,
        }
        return [option for option, found in wanted.items() if not found]


def init(
    context: typer.Context,
    store: Annotated[Path | None, typer.Option(metavar="DIR", help=f"Where snapshots lie; {STORE} without.")] = None,
    recipient: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY", help="A public key: age1..., ssh-ed25519 ...; may be repeated."),
    ] = None,
    recipients_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A file with one such key a line.")
    ] = None,
    new_identity: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Make a key pair; FILE must then leave this machine.")
    ] = None,
    host: Annotated[str | None, typer.Option(metavar="NAME", help="The production host to pull from.")] = None,
    address: Annotated[str | None, typer.Option(metavar="HOST[:PORT]", help="Where it is; its name without.")] = None,
    user: Annotated[str | None, typer.Option(metavar="USER", help=f"The account there; {USER} without.")] = None,
    mysql: Annotated[
        list[str] | None, typer.Option(metavar="DB", help="A MySQL or MariaDB database; may be repeated.")
    ] = None,
    influxdb: Annotated[
        list[str] | None, typer.Option(metavar="DB", help="An InfluxDB database; may be repeated.")
    ] = None,
    files: Annotated[
        list[str] | None, typer.Option(metavar="PATH", help="A directory or file, such as /etc; may be repeated.")
    ] = None,
    from_store: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Set up again from the copies in this store.")
    ] = None,
) -> None:
    """Write a first hosts.toml and make the pull key; asks on a terminal for what no option says."""
    path = _place(context)
    setting_up.refuse_existing(path)
    given = Given(
        store, tuple(recipient or ()), recipients_file, new_identity, host, address, user,
        tuple(mysql or ()), tuple(influxdb or ()), tuple(files or ()),
    )  # fmt: skip
    if from_store is not None:
        if any(value for value in vars(given).values()):
            raise UsageError("--from-store takes everything from there", "leave the other options out")
        done = setting_up.from_store(path, from_store, KINDS)
        _render(done)
        _next_again(done, path)
        return
    if given.missing():
        given = _asked(given, path)
    identity = setting_up.new_identity(given.new_identity.absolute()) if given.new_identity else None
    done = setting_up.set_up(path, hosts_toml(_plan(given, path, identity)), KINDS, identity)
    _render(done)
    if identity is not None:
        _see_it_off(identity)
    _next(done, path)


def _place(context: typer.Context) -> Path:
    """Where hosts.toml is to lie: where the other verbs look first."""
    named = context.obj or os.environ.get("PULLAGENT_CONFIG")
    return Path(named) if named else ui.CONFIG_PLACES[0]


def _plan(given: Given, path: Path, identity: setting_up.NewIdentity | None) -> Plan:
    """What hosts.toml is to say; UsageError for what cannot stand there."""
    assert given.host is not None
    at = Address.parse(given.address or _host_name(given.host))
    if at.user:
        raise UsageError(f"--address names an account: {given.address}", f"give it by --user {at.user}")
    recipients = [*map(_recipient, given.recipients), *([identity.recipient] if identity else [])]
    return Plan(
        store=(given.store or STORE).absolute(),
        recipients=tuple(dict.fromkeys(recipients)),
        recipients_file=given.recipients_file.absolute() if given.recipients_file else None,
        identity_file=path.absolute().parent / "id_ed25519",
        known_hosts=path.absolute().parent / "known_hosts",
        host=_host_name(given.host),
        address=at.host,
        port=at.port or 22,
        user=given.user or USER,
        mysql=given.mysql,
        influxdb=given.influxdb,
        files=given.files,
    )


def _recipient(text: str) -> str:
    try:
        return checked_recipient(text.strip())
    except ValueError as error:
        hint = "age-keygen makes a key pair, and `age-keygen -y FILE` shows its public key"
        raise UsageError(str(error), hint) from None


def _host_name(text: str) -> str:
    if not is_safe_name(text):
        hint = "a name has letters, digits, '.', '_' and '-'; where the host is stands in its address"
        raise UsageError(f"{text!r} cannot be a host's name", hint)
    return text


def _asked(given: Given, path: Path) -> Given:
    """`given` with answers for all that no option says; UsageError where there is no terminal."""
    if not sys.stdin.isatty():
        missing = ", ".join(given.missing())
        raise UsageError(f"there is no terminal to ask on, and options are missing: {missing}", _EXAMPLE)
    ui.tell(f"This writes {path} and makes the pull key.")
    ui.tell("Enter takes what stands in [ ]; Ctrl-C leaves everything as it is.")
    if given.store is None:
        given = replace(given, store=_answer("Where shall snapshots lie?", Path, str(STORE)))
    if not given.recipients and not given.recipients_file and not given.new_identity:
        given = _asked_for_recipients(given)
    if given.host is None:
        given = replace(given, host=_answer("Name of the production host (more can be added later):", _host_name))
    if given.address is None:
        given = replace(given, address=_answer("Its address, HOST[:PORT]", _address, given.host or ""))
    if given.user is None:
        given = replace(given, user=_answer("Account to log in as there", str, USER))
    return _asked_for_sources(given)


def _asked_for_recipients(given: Given) -> Given:
    ui.tell("Snapshots are encrypted to public keys. What opens them belongs elsewhere.")
    first = _answer("Public key (age1…, ssh-ed25519 …), or new to make a key pair here:", _key_or_new)
    if first == "new":
        path = _answer("File for the new identity", Path, str(Path.home() / "pullagent-identity.txt"))
        return replace(given, new_identity=path.expanduser())
    found = [first]
    while more := _answer("A further one, of a key in a safe perhaps (Enter for none):", _key_or_nothing, ""):
        found.append(more)
    return replace(given, recipients=tuple(found))


def _asked_for_sources(given: Given) -> Given:
    while not given.mysql and not given.influxdb and not given.files:
        mysql = _answer("MySQL or MariaDB databases there, spaces between (Enter for none):", str.split, "")
        influxdb = _answer("InfluxDB databases there, spaces between (Enter for none):", str.split, "")
        files = _answer("Directories and files there, such as /etc (Enter for none):", str.split, "")
        given = replace(given, mysql=tuple(mysql), influxdb=tuple(influxdb), files=tuple(files))
        if not mysql and not influxdb and not files:
            ui.tell("At least one database, directory or file is needed.")
    return given


def _answer(question: str, read: Callable[[str], T], default: str | None = None) -> T:
    """An answer that `read` takes; asked again until there is one."""
    while True:
        text = ui.ask(f"{question} [{default}]" if default else question)
        if text is None:
            raise UsageError("the answers ended too early; nothing was written", _EXAMPLE)
        if not text and default is None:
            continue
        try:
            return read(text or default or "")
        except PullAgentError as error:
            ui.fail(error)


def _address(text: str) -> str:
    Address.parse(text)
    return text


def _key_or_new(text: str) -> str:
    return "new" if text.lower() == "new" else _key_or_nothing(text)


def _key_or_nothing(text: str) -> str:
    if not text:
        return ""
    key = _recipient(text)
    seal.check_recipients([key])
    return key


def _render(done: setting_up.Done) -> None:
    for path, what in done.made:
        ui.say(f"written: {path}  ({what})")
    for path, what in done.kept:
        ui.say(f"kept:    {path}  ({what})")


def _see_it_off(identity: setting_up.NewIdentity) -> None:
    """Have the operator move the identity to where it belongs, and see that it is gone."""
    path = identity.path
    ui.say()
    ui.say("Who has the identity can read every snapshot, and without it nobody can.")
    ui.say("Copy it to two places that do not burn down together, from there:")
    ui.say(f"  scp {os.uname().nodename}:{shlex.quote(str(path))} .")
    ui.say("and then remove it here:")
    ui.say(f"  shred -u {shlex.quote(str(path))}")
    left = _left_here(identity)
    while left:
        if not sys.stdin.isatty() or ui.ask("Press Enter when that is done, or type later:") != "":
            ui.tell(f"warning: the identity that opens the backups still lies here: {', '.join(map(str, left))}")
            return
        left = _left_here(identity)
        if left:
            ui.tell(f"It still lies here: {', '.join(map(str, left))}")
    ui.say("The identity is gone from here.")


def _left_here(identity: setting_up.NewIdentity) -> list[Path]:
    """Where the identity, or a copy of it, still lies on this machine, as far as a look at the usual places tells."""
    places = identities.usual_places(identity.path.parent)
    found = identities.search(places, [identity.recipient]).opening
    return list(dict.fromkeys([*([identity.path] if os.path.lexists(identity.path) else []), *found]))


def _command(path: Path) -> str:
    return "pullagent" if path == ui.CONFIG_PLACES[0] else f"pullagent --config {shlex.quote(str(path))}"


def _next(done: setting_up.Done, path: Path) -> None:
    host = next(iter(done.config.hosts))
    ui.say()
    ui.say("Next:")
    ui.say(f"  {_command(path)} trust {host}")
    ui.say(f"  {_command(path)} gate {host} -o gate-{host}")
    ui.say(f"  {_command(path)} doctor")


def _next_again(done: setting_up.Done, path: Path) -> None:
    """What is left to do on a rebuilt backup server: new pull keys belong on the hosts, in place of the old."""
    made = {file for file, _ in done.made}
    ui.say()
    ui.say("Next:")
    if not done.config.known_hosts.is_file():
        for name in done.config.hosts:
            ui.say(f"  {_command(path)} trust {name}")
    for host in done.config.hosts.values():
        if host.identity_file in made:
            ui.say(f"  {_command(path)} gate {host.name} -o gate-{host.name}")
    if done.config.identity_file in made:
        ui.say("  put each authorized_keys from there in place of the old one: the old pull key must not stay")
    ui.say(f"  {_command(path)} doctor")
    ui.say(f"  {_command(path)} list")
