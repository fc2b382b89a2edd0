"""A host that has a tree of files and nothing else, for the faults of the source kind `files`."""

from pathlib import Path

from tests.integration.agent import HOST
from tests.integration.trees import plant
from tests.lab.keys import ssh_keypair
from tests.lab.production import ProductionHost
from tests.lab.sshd import Sshd

ETC = f"{HOST}/etc"


class TreeHost(ProductionHost):
    """The tree at `tree` has everything that tar must carry."""

    def __init__(self, directory: Path) -> None:
        self.directory, self.staging = directory, directory / "staging"
        self.identity = ssh_keypair(directory / "client" / "id_ed25519")
        self.sshd = Sshd(directory / "sshd", self.identity.with_name("id_ed25519.pub"))
        self.tree = plant(directory / "tree" / "etc", sparse_bytes=1 << 20)

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
[hosts.{HOST}.sources.etc]
kind = "files"
paths = ["{self.tree}"]
"""
