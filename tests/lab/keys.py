"""SSH and age keys for one test."""

import os
from pathlib import Path

from tests.lab.errors import LabError
from tests.lab.processes import run


def ssh_keypair(path: Path) -> Path:
    """Make an ed25519 key pair without passphrase at `path` and `path.pub`, over old ones; returns `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    public = path.with_name(path.name + ".pub")
    for old in (path, public):
        old.unlink(missing_ok=True)
    run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "pullagent-lab", "-f", path])
    return path


def public_text(private: Path) -> str:
    """The `ssh-ed25519 AAAA…` text (without comment) of the public key beside `private`."""
    return " ".join(private.with_name(private.name + ".pub").read_text().split()[:2])


def age_identity(path: Path) -> str:
    """Make an age identity at `path` (0600), over an old one; returns its recipient `age1…`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    secret = run(["age-keygen"]).decode()
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secret)
    for line in secret.splitlines():
        if line.startswith("# public key: "):
            return line.removeprefix("# public key: ")
    raise LabError("age-keygen named no public key")
