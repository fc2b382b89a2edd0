"""What the contract suite must know of a kind: tables that configure it, and servers whose answers were recorded.

A new kind gets an entry here; without one the suite fails.
"""

from dataclasses import dataclass
from typing import Any

from pullagent.fields import read_table
from pullagent.sources import KINDS
from pullagent.sources.base import Source


@dataclass(frozen=True)
class Example:
    """`least`: the shortest table; `most`: every key; `servers`: recordings below tests/vectors/answers, made with
    the shortest table; `artifacts`: the names that the design fixes; `main`: the command whose output is the largest;
    `programs`: what the runbook must speak of.
    """

    least: dict[str, Any]
    most: dict[str, Any]
    servers: tuple[str, ...]
    artifacts: tuple[str, ...]
    main: str
    programs: tuple[str, ...] = ("age -d -i KEY", "zstd -d")


EXAMPLES = {
    "mysql": Example(
        least={"databases": ["agama"]},
        most={
            "databases": ["agama", "odd $name; rm -rf"],
            "socket": "/run/my sql/it's.sock",
            "option_file": "/etc/pull'agent/$(id).cnf",
            "accounts": False,
        },
        servers=("mariadb-10.11", "mysql-9.7"),
        artifacts=("dump.sql", "accounts.sql", "grants.sql", "inventory.json"),
        main="dump",
        programs=("age -d -i KEY", "zstd -d", "mysql ", "--binary-mode"),
    ),
    "influxdb": Example(
        least={"databases": ["logs"]},
        most={
            "databases": ["logs", "with blanks"],
            "config_files": ["/etc/influx db/$(id).conf", "/etc/it's"],
            "sudo": False,
            "env_file": "/etc/default/in'flux",
            "api": "localhost:18086",
            "backup": "127.0.0.2:18088",
            "staging": "/srv/a b/'c'/",
        },
        servers=("influxdb-1.6",),
        artifacts=("backup.tar", "config.tar", "inventory.json"),
        main="backup",
        programs=("age -d -i KEY", "zstd -d", "influxd restore"),
    ),
    "git": Example(
        least={"url": "/srv/git/ansible.git"},
        most={"url": "/srv/git/it's $(id)!", "clear_mirror": False},
        servers=("git-2.39",),
        artifacts=("repo.bundle",),
        main="upload-pack",
        programs=("age -d -i KEY", "zstd -d", "git clone", "bundle verify"),
    ),
    "files": Example(
        least={"paths": ["/etc"]},
        most={
            "paths": ["/etc", "/srv/it's $(id)"],
            "exclude": ["/etc/ssl/$(id)/*.key", "*.b'a`id`k"],
            "one_file_system": False,
            "sudo": False,
        },
        servers=("gnu-tar-1.34",),
        artifacts=("files.tar",),
        main="archive",
        programs=("age -d -i KEY", "zstd -d", "tar -C files -xpf -"),
    ),
}


def build(kind: str, table: dict[str, Any]) -> Source:
    """A source as hosts.toml makes it."""
    made: Source
    made, problems = read_table(KINDS[kind], table)
    if problems:
        raise ValueError(problems)
    return made
