"""A throwaway InfluxDB for a drill: its configuration, its ports, and that it is empty."""

import json
import shlex

from pullagent.errors import SourceError
from pullagent.sources.base import Machine
from pullagent.sources.influxdb.commands import Commands
from pullagent.sources.influxdb.inventory import databases_in


def start(machine: Machine) -> tuple[str, str]:
    """Start it; its two ports as HOST:PORT. SourceError where its programs are missing."""
    for name in ("influxd", "influx"):
        if not machine.programs(name):
            raise SourceError(
                f"there is no program {name} here, which a drill needs",
                "apt-get install influxdb influxdb-client, or drill on another host:  --to HOST",
            )
    api, backup = (f"127.0.0.1:{machine.free_port()}" for _ in range(2))
    file = machine.directory / "influxdb.conf"
    machine.send(f"cat >{shlex.quote(str(file))}", iter([_configuration(machine, api, backup).encode()]))
    commands = Commands((), (), None, api, backup, str(machine.directory / "tmp"))
    machine.serve([str(machine.programs("influxd")[0]), "run", "-config", str(file)], commands.probe())
    # another server may have taken the port in between, and would answer in its place
    present = databases_in(machine.read(commands.existing()).decode(errors="replace"), machine.name)
    if present:
        raise SourceError(f"the server that answers at {api} is another one: it holds databases", "run it again")
    return api, backup


def _configuration(machine: Machine, api: str, backup: str) -> str:
    """Nothing that would change what was restored: no retention, no queries that run by themselves."""
    data = machine.directory / "influxdb"
    paths = {name: json.dumps(str(data / name)) for name in ("meta", "data", "wal")}
    return (
        f'reporting-disabled = true\nbind-address = "{backup}"\n'
        f"[meta]\n  dir = {paths['meta']}\n"
        f"[data]\n  dir = {paths['data']}\n  wal-dir = {paths['wal']}\n"
        "[monitor]\n  store-enabled = false\n"
        "[retention]\n  enabled = false\n"
        "[continuous_queries]\n  enabled = false\n"
        f'[http]\n  bind-address = "{api}"\n  auth-enabled = false\n  log-enabled = false\n'
    )
