"""Writes a first hosts.toml, commented, from what the set-up asked for. Pure."""

import json
import re
from collections.abc import Container, Sequence
from dataclasses import dataclass
from pathlib import Path

from pullagent.model import is_safe_name


@dataclass(frozen=True)
class Plan:
    """What a first hosts.toml is to say: one host with the databases, directories and files to pull from it.

    Recipients are public keys, or stand in `recipients_file`, or both. Paths are absolute.
    """

    store: Path
    recipients: tuple[str, ...]
    recipients_file: Path | None
    identity_file: Path
    known_hosts: Path
    host: str
    address: str
    port: int
    user: str
    mysql: tuple[str, ...] = ()
    influxdb: tuple[str, ...] = ()
    files: tuple[str, ...] = ()


def hosts_toml(plan: Plan) -> str:
    """The text of hosts.toml."""
    port = f"port = {plan.port}\n" if plan.port != 22 else ""
    head = f"""\
# What is backed up, and how.
# `pullagent config check` reads it; `pullagent config schema` prints what may stand here.

[store]
path = {_quoted(plan.store)}

[encryption]
# Public keys alone: whoever holds the identity of any of them can open the snapshots. The identities themselves never
# lie on this machine.
{_recipients(plan)}
[retention]
days = 14
keep_at_least = 3

[objectives]
rpo_hours = 24
rto_minutes = 60

[run]
# One bad minute at night must not cost the day: what failed is tried again in the same run.
attempts = 3
retry_minutes = 20

[ssh]
identity_file = {_quoted(plan.identity_file)}
known_hosts = {_quoted(plan.known_hosts)}

# For a further host: the same tables again, under its name.
[hosts.{_key(plan.host)}]
address = {_quoted(plan.address)}
{port}user = {_quoted(plan.user)}
"""
    return head + _sources(plan)


def _recipients(plan: Plan) -> str:
    text = f"recipients_file = {_quoted(plan.recipients_file)}\n" if plan.recipients_file else ""
    if plan.recipients:
        text += "recipients = [\n" + "".join(f"    {_quoted(key)},\n" for key in plan.recipients) + "]\n"
    return text


def _sources(plan: Plan) -> str:
    text, taken = "", set[str]()
    if plan.mysql:
        name = _source_name("mysql", plan.mysql, taken)
        taken.add(name)
        text += f"""
# MySQL or MariaDB, told apart by the agent; accounts and grants are saved too.
[hosts.{_key(plan.host)}.sources.{_key(name)}]
kind = "mysql"
databases = {_list(plan.mysql)}
"""
    if plan.influxdb:
        name = _source_name("influxdb", plan.influxdb, taken)
        taken.add(name)
        text += f"""
# InfluxDB 1.x: only the databases named here.
[hosts.{_key(plan.host)}.sources.{_key(name)}]
kind = "influxdb"
databases = {_list(plan.influxdb)}
# Files on that host to keep beside them:
# config_files = ["/etc/influxdb/influxdb.conf"]
"""
    if plan.files:
        name = _source_name("files", [path.rstrip("/").rpartition("/")[2] for path in plan.files], taken)
        text += f"""
# Directories and files, with owners, modes, ACLs and attributes.
[hosts.{_key(plan.host)}.sources.{_key(name)}]
kind = "files"
paths = {_list(plan.files)}
# What need not be saved, by path or by name:
# exclude = ["/etc/ssl/private", "*.bak"]
{_AS_ROOT if plan.user != "root" else ""}"""
    return text


_AS_ROOT = """\
# Whether tar runs as root there, by the one line of sudoers that `pullagent gate` writes. Without, the account must be
# able to read every file, or the pull fails.
sudo = true
"""


def _source_name(kind: str, names: Sequence[str], taken: Container[str]) -> str:
    """A source is called after its one database or directory, else after its kind, and differently from the others."""
    only = names[0] if len(names) == 1 else ""
    wanted = (only, kind, *(f"{kind}-{number}" for number in range(2, 5)))
    return next(name for name in wanted if is_safe_name(name) and name not in taken)


def with_store(text: str, store: Path) -> str:
    """hosts.toml with another path in [store]; as it was where that cannot be found."""
    return re.sub(
        r"(?m)^(\[store\][^\[]*?^[ \t]*path[ \t]*=[ \t]*)(\"[^\"\n]*\"|'[^'\n]*')",
        lambda m: m[1] + _quoted(store),
        text,
        count=1,
    )


def _quoted(value: object) -> str:
    """A TOML string; JSON's differ only where they leave DEL as it is."""
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _quoted(name)


def _list(values: Sequence[str]) -> str:
    return f"[{', '.join(map(_quoted, values))}]"
