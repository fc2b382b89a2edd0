"""The tables of hosts.toml, a frozen dataclass each, and their JSON schema."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from msgspec import Meta

from pullagent import fields
from pullagent.fields import Checked
from pullagent.model import NAME_PATTERN

# $ alone would take a line end behind it too
_LOGIN = r"^[A-Za-z0-9_][A-Za-z0-9._-]*$(?!\n)"


def recipient(text: str) -> str:
    if "AGE-SECRET-KEY-" in text.upper() or "PRIVATE KEY" in text.upper():
        # never repeated in the message: it is a secret
        raise ValueError("a secret key (not shown); write its public half: age-keygen -y FILE")
    if not text.startswith(("age1", "ssh-ed25519 ", "ssh-rsa ")) or any(ord(c) < 32 for c in text):
        raise ValueError("not a recipient; write a public key: age1…, ssh-ed25519 … or ssh-rsa …")
    return text


def _path(text: str) -> str:
    if not text or "\0" in text:
        raise ValueError("not a path")
    return text


def _host(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.%a-z]*", text):
        raise ValueError(
            f"found {text!r}; write a host name or an IP address alone; port and user have keys of their own"
        )
    return text


def is_http_url(value: str) -> bool:
    """Whether `value` is a URL that can be pinged."""
    if not re.fullmatch(r"https?://[^\s/?#]+\S*", value):
        return False
    try:
        parts = urlsplit(value)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _ping_url(text: str) -> str:
    # what was found is never shown: whoever has the URL can speak for this server
    if not is_http_url(text):
        raise ValueError("not an http:// or https:// URL (not shown)")
    return text


def _message_url(text: str) -> str:
    if "://" not in text:
        raise ValueError('not a list of URLs (not shown); write ["mailto://…"]')
    return text


Recipient = Annotated[str, Checked(recipient)]
PathText = Annotated[str, Checked(_path)]
Port = Annotated[int, Meta(gt=0, lt=65536)]
Positive = Annotated[float, Meta(gt=0, le=1e7)]
AtOnce = Annotated[int, Meta(ge=1, le=64)]


@dataclass(frozen=True)
class StoreTable:
    """[store]: where snapshots lie, and how much of that file system a pull must leave free."""

    path: PathText
    min_free_percent: Annotated[float, Meta(ge=0, le=50)] = 2


@dataclass(frozen=True)
class EncryptionTable:
    """[encryption]: the public keys that can open what is stored, here or in a file with one a line."""

    recipients: tuple[Recipient, ...] = ()
    recipients_file: PathText | None = None


@dataclass(frozen=True)
class CompressionTable:
    """[compression]: the zstd level. Above 9 the compressor needs more memory than a stream may take."""

    level: Annotated[int, Meta(ge=1, le=9)] = 3


@dataclass(frozen=True)
class RetentionTable:
    """[retention]: days until a snapshot goes, how many good ones of each source always stay, and for how many weeks
    and months one good one of each stays.
    """

    days: Annotated[int, Meta(ge=1, le=36_500)] = 14
    keep_at_least: Annotated[int, Meta(ge=1)] = 3
    weekly: Annotated[int, Meta(ge=0, le=5_000)] = 0
    monthly: Annotated[int, Meta(ge=0, le=1_200)] = 0


@dataclass(frozen=True)
class ObjectivesTable:
    """[objectives]: how old the newest backup may get before it is late, how long a restore may take, and how often
    that is to be tried.
    """

    rpo_hours: Positive = 24
    grace_minutes: Annotated[float, Meta(ge=0, le=1e7)] = 60
    rto_minutes: Positive = 60
    mirror_rpo_minutes: Positive = 5
    drill_days: Annotated[int, Meta(ge=1, le=36_500)] = 30


@dataclass(frozen=True)
class SshTable:
    """[ssh]: the pull key, the pinned host keys, and the limits of a connection, in seconds."""

    identity_file: PathText = "/etc/pullagent/id_ed25519"
    known_hosts: PathText = "/etc/pullagent/known_hosts"
    connect_timeout_s: Positive = 10
    stall_s: Positive = 300
    total_s: Positive = 12 * 3600


@dataclass(frozen=True)
class RunTable:
    """[run]: how often a failed source is tried in one run, the pause before each further attempt, and how many sources
    of one host are pulled at once.
    """

    attempts: Annotated[int, Meta(ge=1, le=100)] = 1
    retry_minutes: Positive = 20
    jobs_per_host: AtOnce = 2


@dataclass(frozen=True)
class MonitoringTable:
    """[monitoring]: the textfile for node_exporter that every run writes."""

    prometheus_file: PathText | None = None


@dataclass(frozen=True)
class NotifyTable:
    """[notify]: a URL to ping at start and end of a run, and where to send messages. URLs are secrets, never shown."""

    ping_url: Annotated[str, Checked(_ping_url)] | None = field(default=None, repr=False)
    ping_url_file: PathText | None = None
    message_urls: tuple[Annotated[str, Checked(_message_url)], ...] = field(default=(), repr=False)
    message_urls_file: PathText | None = None
    details: bool = False
    timeout_s: Annotated[float, Meta(gt=0, le=300)] = 10


@dataclass(frozen=True)
class HostTable:
    """[hosts.NAME]: where and as whom to log in; `gateway` is a jump host, [USER@]HOST[:PORT] or a host's name.

    How gently it is treated: `wire` says whether it compresses its dumps, `nice` whether they run at low priority;
    `max_mbytes_per_s` (10^6 bytes) limits how fast it is read, `jobs_per_host` how many sources are pulled at once.
    """

    user: Annotated[str, Meta(pattern=_LOGIN)]
    address: Annotated[str, Checked(_host)] | None = None
    port: Port = 22
    gateway: str | None = None
    identity_file: PathText | None = None
    wire: Literal["auto", "plain", "zstd"] = "auto"
    nice: bool = True
    # slower, a database server could take the reader for dead
    max_mbytes_per_s: Annotated[float, Meta(ge=0.1, le=1e6)] | None = None
    jobs_per_host: AtOnce | None = None


TABLES: dict[str, type] = {
    "store": StoreTable,
    "encryption": EncryptionTable,
    "compression": CompressionTable,
    "retention": RetentionTable,
    "objectives": ObjectivesTable,
    "ssh": SshTable,
    "run": RunTable,
    "monitoring": MonitoringTable,
    "notify": NotifyTable,
}


def schema(kinds: Mapping[str, type]) -> dict[str, Any]:
    """The JSON schema of hosts.toml, for editors."""
    sources = []
    for kind, model in kinds.items():
        table = fields.schema(model)
        table["properties"] = {"kind": {"const": kind}} | table["properties"]
        table["required"] = ["kind", *table.get("required", [])]
        sources.append(table)
    host = fields.schema(HostTable)
    host["properties"]["sources"] = _named({"oneOf": sources})
    tables = {name: fields.schema(model) for name, model in TABLES.items()}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "pullagent hosts.toml",
        "type": "object",
        "additionalProperties": False,
        "required": ["store", "encryption", "hosts"],
        "properties": tables | {"hosts": _named(host)},
    }


def _named(table: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": table, "propertyNames": {"pattern": f"^{NAME_PATTERN}$"}}
