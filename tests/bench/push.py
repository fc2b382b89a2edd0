"""The middle of a restore alone: `python -m tests.bench.push CONFIG REF IDENTITY COMMAND` decrypts, decompresses and
pushes the dump of a snapshot to COMMAND on its host, by the same parts as `restore` does.
"""

import sys
from pathlib import Path

from pullagent.config import load
from pullagent.host import Host
from pullagent.logins import limits, pull_login
from pullagent.model import RefQuery, StopSignal
from pullagent.opened import OpenedSnapshot
from pullagent.seal import Identity
from pullagent.sources import KINDS
from pullagent.store import Store


def main(config_file: str, reference: str, identity_file: str, command: str) -> None:
    """Push it."""
    config = load(Path(config_file), KINDS)
    snapshot = Store(config.store).resolve(RefQuery.parse(reference))
    login = pull_login(config, config.hosts[snapshot.ref.name.host])
    with Identity.read(Path(identity_file)) as identity, Host(login, limits(config), StopSignal()) as host:
        opened = OpenedSnapshot(snapshot, identity)
        with opened.quietly("dump.sql") as chunks:
            host.send(command, chunks)


if __name__ == "__main__":
    main(*sys.argv[1:])
