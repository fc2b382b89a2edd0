"""A host that has a git repository and nothing else, and the backup server that mirrors it."""

from pathlib import Path

from tests.integration.agent import Agent
from tests.lab.keys import ssh_keypair
from tests.lab.production import ProductionHost
from tests.lab.repository import Repository
from tests.lab.sshd import Sshd

HOST = "pavroto-1"
ANSIBLE = f"{HOST}/ansible"


class Forge(ProductionHost):
    """A host with a git repository and nothing else."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.identity = ssh_keypair(directory / "client" / "id_ed25519")
        self.sshd = Sshd(directory / "sshd", self.identity.with_name("id_ed25519.pub"))
        self.repository = Repository(directory / "git" / "ansible.git")
        self.repository.decorate()

    def start(self) -> None:
        """Start what is not running."""
        if not self.sshd.alive:
            self.sshd.start()

    def destroy(self) -> None:
        """Stop."""
        self.sshd.stop()

    def hosts_toml(self, store: Path, recipient: str, identity_file: Path, known_hosts: Path, *_: object) -> str:
        """A complete hosts.toml."""
        return f"""\
[store]
path = "{store}"
[encryption]
recipients = ["{recipient}"]
[ssh]
identity_file = "{identity_file}"
known_hosts = "{known_hosts}"
[hosts.{HOST}]
address = "127.0.0.1"
port = {self.sshd.port}
user = "{self.sshd.user}"
[hosts.{HOST}.sources.ansible]
kind = "git"
url = "{self.repository.bare}"
"""


class Backup(Agent):
    """A backup server with that one source."""

    host: Forge

    @property
    def mirror(self) -> Path:
        """Where the mirror lies."""
        return self.store / ".mirrors" / HOST / "ansible.git"

    @property
    def upstream(self) -> Repository:
        """What it is a mirror of."""
        return self.host.repository

    def put_back(self, *options: str | Path) -> tuple[str | Path, ...]:
        """What a restore or a drill there is given."""
        login = ("--to", f"{self.host.sshd.user}@{HOST}", "--ssh-key", self.host.identity)
        return (*login, "--identity", self.identity, *options)
