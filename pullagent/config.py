"""hosts.toml -> frozen Config. Every error names file, table, key, what was found and what to write."""

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from pullagent.errors import ConfigError, UsageError
from pullagent.fields import read_table, shown
from pullagent.model import Address, Manner, SourceName, is_safe_name
from pullagent.tables import (
    TABLES,
    CompressionTable,
    EncryptionTable,
    HostTable,
    MonitoringTable,
    NotifyTable,
    ObjectivesTable,
    RetentionTable,
    RunTable,
    SshTable,
    recipient,
)

# what the store keeps beside the hosts' directories
_FILES = ("hosts.toml", "known_hosts", "ledger.jsonl")


@dataclass(frozen=True)
class Host:
    """A production host; `sources` by name, each a value of its kind's class."""

    name: str
    address: str
    port: int
    user: str
    gateway: Address | None
    identity_file: Path
    sources: Mapping[str, Any]
    manner: Manner
    bytes_per_s: float | None
    jobs: int
    """Sources pulled at once."""


@dataclass(frozen=True)
class Config:
    """hosts.toml as the program uses it: paths absolute, every host and source checked."""

    path: Path
    text: bytes
    store: Path
    min_free_percent: float
    encryption: EncryptionTable
    compression: CompressionTable
    retention: RetentionTable
    objectives: ObjectivesTable
    ssh: SshTable
    run: RunTable
    monitoring: MonitoringTable
    notify: NotifyTable
    identity_file: Path
    known_hosts: Path
    hosts: Mapping[str, Host]

    def recipients(self) -> tuple[str, ...]:
        """The public keys to encrypt to, from both places, in order. ConfigError for a bad file."""
        found = list(self.encryption.recipients)
        if self.encryption.recipients_file is not None:
            found += _recipients_in(self.path.parent / self.encryption.recipients_file, self.path)
        return tuple(dict.fromkeys(found))

    def pull_keys(self) -> set[Path]:
        """The private keys that pulls log in with."""
        return {self.identity_file, *(host.identity_file for host in self.hosts.values())}

    def reached_through(self, host: Host) -> tuple[str, ...]:
        """ADDRESS:PORT of the hosts whose gateway is `host`; an IPv6 address in brackets."""
        return tuple(
            f"[{other.address}]:{other.port}" if ":" in other.address else f"{other.address}:{other.port}"
            for other in self.hosts.values()
            if other.gateway and (other.gateway.host, other.gateway.port or 22) == (host.address, host.port)
        )

    def source_names(self) -> list[SourceName]:
        """Every source, in the order of the file."""
        return [SourceName(host.name, source) for host in self.hosts.values() for source in host.sources]

    def select(self, targets: list[str]) -> list[SourceName]:
        """The sources that `HOST` and `HOST/SOURCE` arguments mean; all without any. ConfigError for unknown names."""
        names = self.source_names()
        if not targets and not names:
            hint = "write a table [hosts.NAME.sources.SOURCE] with its kind"
            raise ConfigError(f"{self.path}: there are no sources", hint)
        if not targets:
            return names
        chosen: dict[SourceName, None] = {}
        for target in targets:
            matching = [n for n in names if target in (n.host, str(n))]
            if not matching and target in self.hosts:
                hint = f"write a table [hosts.{target}.sources.SOURCE] with its kind"
                raise ConfigError(f"{self.path}: {target} has no sources", hint)
            if not matching:
                known = [*self.hosts, *map(str, names)]
                raise ConfigError(f"{self.path}: there is no host or source {target!r}", _nearest(target, known))
            chosen |= dict.fromkeys(matching)
        return list(chosen)


def load(path: Path, kinds: Mapping[str, type]) -> Config:
    """Read hosts.toml; `kinds` maps each source kind to the frozen dataclass whose fields are its keys. ConfigError."""
    try:
        text = path.read_bytes()
    except OSError as error:
        hint = "give --config FILE, or set PULLAGENT_CONFIG"
        if isinstance(error, PermissionError):
            hint = f"let the account that pulls read it, as root: chgrp pullagent {path}; chmod 640 {path}"
        raise ConfigError(f"{path}: {error.strerror}", hint) from error
    return parse(path, text, kinds)


def parse(path: Path, text: bytes, kinds: Mapping[str, type]) -> Config:
    """As `load`, for a hosts.toml that holds `text`, or is to hold it."""
    try:
        document = tomllib.loads(text.decode("utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        hint = "compare it with the example that comes with the program"
        raise ConfigError(f"{path}: not TOML: {error}", hint) from error
    _known_keys(path, "the top level", document, [*TABLES, "hosts"])
    tables = {name: _build(path, f"[{name}]", kind, document.get(name, {})) for name, kind in TABLES.items()}
    base = path.absolute().parent
    encryption: EncryptionTable = tables["encryption"]
    if not encryption.recipients and encryption.recipients_file is None:
        raise ConfigError(
            f"{path}: [encryption]: no recipients", 'write recipients = ["age1…"]; age-keygen makes a key'
        )
    identity_file = base / tables["ssh"].identity_file
    hosts = _hosts(path, document.get("hosts", {}), kinds, base, identity_file, tables["run"].jobs_per_host)
    config = Config(
        path=path,
        text=text,
        store=base / tables["store"].path,
        min_free_percent=tables["store"].min_free_percent,
        encryption=encryption,
        compression=tables["compression"],
        retention=tables["retention"],
        objectives=tables["objectives"],
        ssh=tables["ssh"],
        run=tables["run"],
        monitoring=tables["monitoring"],
        notify=tables["notify"],
        identity_file=identity_file,
        known_hosts=base / tables["ssh"].known_hosts,
        hosts=hosts,
    )
    if not config.source_names():
        raise ConfigError(f"{path}: no sources", "write a table [hosts.NAME.sources.SOURCE] with its kind")
    _refuse_twins(config)
    return config


def with_keys(config: Config, places: Mapping[Path, Path]) -> Config:
    """The configuration with its keys looked for where `places` says."""
    hosts = {n: replace(h, identity_file=places.get(h.identity_file, h.identity_file)) for n, h in config.hosts.items()}
    return replace(config, identity_file=places.get(config.identity_file, config.identity_file), hosts=hosts)


def with_pull_key(config: Config, key: Path) -> Config:
    """The configuration with `key` for [ssh].identity_file; hosts with another key of their own keep it."""
    hosts = {
        name: replace(host, identity_file=key) if host.identity_file == config.identity_file else host
        for name, host in config.hosts.items()
    }
    return replace(config, identity_file=key, hosts=hosts)


def check_files(config: Config, *, known_hosts: bool = True) -> None:
    """Look at the files that hosts.toml names; ConfigError for the first that is missing or unreadable.

    Without `known_hosts` that file may still be missing, as it is before the first `pullagent trust`.
    """
    config.recipients()
    files = {"identity_file": config.identity_file} | {
        f"hosts.{h.name}": h.identity_file for h in config.hosts.values()
    }
    for key, file in files.items():
        if not file.is_file():
            hint = f"make a key for pulling: ssh-keygen -t ed25519 -N '' -f {file}"
            raise ConfigError(f"{config.path}: {key}: there is no file {file}", hint)
    if known_hosts and not config.known_hosts.is_file():
        hint = "pin the hosts' keys: " + "; ".join(f"pullagent trust {name}" for name in config.hosts)
        raise ConfigError(f"{config.path}: [ssh]: known_hosts: there is no file {config.known_hosts}", hint)
    for key in ("ping_url_file", "message_urls_file"):
        named: str | None = getattr(config.notify, key)
        if named is not None and not (config.path.absolute().parent / named).is_file():
            hint = "write the URL there, alone on its line, readable by the user that runs it and nobody else"
            raise ConfigError(f"{config.path}: [notify]: {key}: there is no file {named}", hint)


def _hosts(
    path: Path, tables: Any, kinds: Mapping[str, type], base: Path, pull_key: Path, jobs: int
) -> dict[str, Host]:
    if not isinstance(tables, dict) or not tables:
        raise ConfigError(f"{path}: no hosts", "write a table [hosts.NAME] with user, and its sources")
    hosts: dict[str, Host] = {}
    for name, table in tables.items():
        where = f"[hosts.{name}]"
        _safe_name(path, "[hosts]", name)
        if name in _FILES:
            raise ConfigError(f"{path}: {where}: the store has a file {name}", "give the host another name")
        content = _as_table(path, where, table)
        sources = _as_table(path, f"[hosts.{name}.sources]", content.pop("sources", {}))
        host: HostTable = _build(path, where, HostTable, content, extra=("sources",))
        key = base / host.identity_file if host.identity_file else pull_key
        built = {s: _source(path, f"[hosts.{name}.sources", s, t, kinds) for s, t in sources.items()}
        hosts[name] = Host(
            name=name,
            address=host.address or name,
            port=host.port,
            user=host.user,
            gateway=_gateway(path, name, host.gateway, tables),
            identity_file=key,
            sources=built,
            manner=Manner(host.wire, host.nice),
            bytes_per_s=host.max_mbytes_per_s * 1e6 if host.max_mbytes_per_s else None,
            jobs=host.jobs_per_host or jobs,
        )
    return hosts


def _source(path: Path, within: str, name: str, table: Any, kinds: Mapping[str, type]) -> Any:
    _safe_name(path, f"{within}]", name)
    where = f"{within}.{name}]"
    content = _as_table(path, where, table)
    kind = content.pop("kind", None)
    if not isinstance(kind, str) or kind not in kinds:
        raise ConfigError(f"{path}: {where}: kind: found {shown(kind)}", _nearest(str(kind), list(kinds)))
    return _build(path, where, kinds[kind], content, extra=("kind",))


def _gateway(path: Path, name: str, text: str | None, tables: Mapping[str, Any]) -> Address | None:
    if text is None:
        return None
    where = f"[hosts.{name}]"
    if text == name:
        raise ConfigError(f"{path}: {where}: gateway: a host cannot be its own", "name the host that leads there")
    try:
        address = Address.parse(text)
    except UsageError as error:
        hint = "write [USER@]HOST[:PORT] or another host's name"
        raise ConfigError(f"{path}: {where}: gateway: {error.message}", hint) from error
    named = tables.get(text)
    if isinstance(named, dict):
        return Address(named.get("address", text), named.get("port"), named.get("user"))
    return address


def _build(path: Path, where: str, model: Any, table: Any, extra: tuple[str, ...] = ()) -> Any:
    """One table as a value of `model`; all that is wrong with it in one ConfigError."""
    content = _as_table(path, where, table)
    _known_keys(path, where, content, [*(f.name for f in fields(model)), *extra])
    value, problems = read_table(model, content)
    if problems:
        lines = [f"{path}: {where}: {problem.text}" for problem in problems]
        raise ConfigError("\n".join(lines), problems[0].hint)
    return value


def _known_keys(path: Path, where: str, table: Mapping[str, Any], known: list[str]) -> None:
    for key in table:
        if key not in known:
            raise ConfigError(f"{path}: {where}: unknown key {key!r}", _nearest(key, known))


def _nearest(found: str, known: list[str]) -> str:
    close = difflib.get_close_matches(found, known, n=1, cutoff=0.5)
    return f"did you mean {close[0]}?" if close else f"known here: {', '.join(known)}"


def _as_table(path: Path, where: str, table: Any) -> dict[str, Any]:
    if not isinstance(table, dict):
        raise ConfigError(f"{path}: {where}: found {shown(table)}", "write a table here")
    return dict(table)


def _safe_name(path: Path, where: str, name: str) -> None:
    if not is_safe_name(name):
        hint = "a name has letters, digits, '.', '_' and '-', begins with none of '.' and '-', and has 64 at most"
        raise ConfigError(f"{path}: {where}: {name!r} cannot be a name", hint)


def _refuse_twins(config: Config) -> None:
    seen: dict[tuple[Any, ...], SourceName] = {}
    for host in config.hosts.values():
        for name, source in host.sources.items():
            key = (host.address, host.port, source)
            this = SourceName(host.name, name)
            if key in seen:
                raise ConfigError(
                    f"{config.path}: {this} and {seen[key]} are the same source of {host.address}", "remove one"
                )
            seen[key] = this


def _recipients_in(file: Path, config: Path) -> list[str]:
    where = f"{config}: [encryption]: recipients_file"
    try:
        lines = file.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{where}: {file}: {error}", "write one public key a line there") from error
    found = []
    for number, line in enumerate(lines, 1):
        if line.strip() and not line.startswith("#"):
            try:
                found.append(recipient(line.strip()))
            except ValueError as error:
                raise ConfigError(f"{where}: {file}, line {number}: {error}") from None
    if not found:
        raise ConfigError(f"{where}: {file} names no recipient", "write one public key a line there")
    return found
