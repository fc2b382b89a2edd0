"""Programs of a production host that do something else than the true ones."""

from pathlib import Path

from tests.integration.agent import Agent
from tests.lab.production import ProductionHost

DUMPS = ("mariadb-dump", "mysqldump")
CLIENTS = ("mariadb", "mysql")
_DUMP = """#!/bin/bash
[[ "$*" == *--databases* ]] || exec {real} "$@"
"""
_BACKUP = """#!/bin/bash
[ "$1" = backup ] || exec {real} "$@"
dir="${@: -1}"
"""
# The first half of a dump at once, then the sign, then nothing for a long time.
HALF = """
{real} "$@" >{sign}.dump || exit
head -c $(( $(stat -c %s {sign}.dump) / 2 )) {sign}.dump
echo $$ >{sign}.new; mv {sign}.new {sign}
exec sleep 300
"""
# A backup that stands with its directory made and its files in it, until somebody removes the sign.
GATHERED = """
{real} "$@" || exit
echo $$ >{sign}.new; mv {sign}.new {sign}
while [ -e {sign} ]; do sleep 0.1; done
"""


def programs(host: ProductionHost, *names: str) -> dict[str, Path]:
    """Those of `names` that the host has, and where the true ones lie."""
    found = {}
    for name in names:
        try:
            found[name] = host.sshd.farm.real(name)
        except KeyError:
            continue
    return found


def wrap(agent: Agent, names: tuple[str, ...], script: str) -> Path:
    """Put `script` first for each of `names`: `{real}` stands for the true program, `{sign}` for a file.

    Returns that file, which is not there yet and by which the script can say how far it is.
    """
    sign = agent.directory / "sign"
    sign.unlink(missing_ok=True)
    for name, real in programs(agent.host, *names).items():
        agent.host.sshd.put_first(name, script.replace("{real}", str(real)).replace("{sign}", str(sign)))
    return sign


def wrap_dump(agent: Agent, body: str) -> Path:
    """Have dumps go through `body`, in bash; asked for anything else the program answers truly."""
    return wrap(agent, DUMPS, f"{_DUMP}{body}\n")


def wrap_backup(agent: Agent, body: str) -> Path:
    """Have backups of InfluxDB go through `body`, in bash; `$dir` is the directory they are made in."""
    return wrap(agent, ("influxd",), f"{_BACKUP}{body}\n")
