"""A Debian that boots: what `make install` is tested on, in a root made by debootstrap.

`python -m tests.lab.debian` makes it in the cache and prints where it is.
"""

import hashlib
import os
import platform
import shutil
import sys
import uuid
from pathlib import Path

from tests.lab.cache import cached, copy_tree
from tests.lab.errors import LabError
from tests.lab.mirror import debian_mirror
from tests.lab.processes import run

PROJECT = Path(__file__).parents[2]
REQUIREMENTS = ("requirements.txt", "requirements-build.txt")
PACKAGES = ("systemd", "systemd-sysv", "dbus", "python3", "python3-venv", "age", "zstd", "make", "git")
# Timers that would reach out for packages as soon as it boots, and files that only people read.
MASKED = ("apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer", "fstrim.timer")
UNUSED = ("usr/share/doc", "usr/share/man", "usr/share/locale", "var/cache/apt", "var/lib/apt/lists")


def debian_root() -> Path:
    """The root of this machine's own release; made (90 s, 300 MB) if the cache lacks it. LabError."""
    packages = hashlib.sha256(" ".join(PACKAGES).encode()).hexdigest()[:8]
    return cached(f"debian-{_codename()}-{packages}", _build)


def wheels() -> Path:
    """The packages that an installation there takes, so that it needs no network."""
    wanted = "".join((PROJECT / name).read_text() for name in REQUIREMENTS)
    return cached(f"wheels-{hashlib.sha256(wanted.encode()).hexdigest()[:16]}", _download)


def backup_server(target: Path) -> None:
    """A fresh copy of the root at `target`, with a copy of the project in /usr/src/pullagent, packages in /wheels."""
    copy_tree(debian_root(), target)
    copy_tree(wheels(), target / "wheels")
    for name in ("wheels", "."):
        (target / name).chmod(0o755)
    (target / "etc/machine-id").write_text(uuid.uuid4().hex + "\n")
    unneeded = shutil.ignore_patterns(".*", "__pycache__", "tests", "build", "dist")
    shutil.copytree(PROJECT, target / "usr/src/pullagent", ignore=unneeded)


def why_not() -> str | None:
    """Why this user, on this machine, cannot make or boot such a root; None if nothing speaks against it."""
    if os.getuid() != 0:
        return "only root can boot a container"
    missing = [name for name in ("debootstrap", "systemd-nspawn", "nsenter") if shutil.which(name) is None]
    if missing:
        return f"{', '.join(missing)} is not installed"
    try:
        run(["unshare", "--mount", "--pid", "--fork", "--uts", "--ipc", "true"])
        debian_mirror()
    except LabError as error:
        return str(error)
    return None


def _codename() -> str:
    return platform.freedesktop_os_release().get("VERSION_CODENAME", "stable")


def _build(target: Path) -> None:
    mirror = debian_mirror()
    key = [f"--keyring={mirror.signed_by}"] if mirror.signed_by else []
    included = f"--include={','.join(PACKAGES)}"
    run(["debootstrap", "--variant=minbase", included, *key, _codename(), target, mirror.uri], seconds=1_000)
    target.chmod(0o755)
    for name in UNUSED:
        shutil.rmtree(target / name)
    for unit in MASKED:
        (target / "etc/systemd/system" / unit).symlink_to("/dev/null")


def _download(target: Path) -> None:
    root = debian_root()
    python = next(path.name for path in sorted((root / "usr/bin").glob("python3.*")) if path.name[8:].isdigit())
    required = [word for name in REQUIREMENTS for word in ("-r", PROJECT / name)]
    download = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    download += ["--require-hashes", "--only-binary=:all:", f"--python-version={python.removeprefix('python')}"]
    run([*download, "--dest", target, *required], env=os.environ, seconds=600)


if __name__ == "__main__":
    print(why_not() or f"{debian_root()} {wheels()}")
