"""The programs of a real MySQL, from Debian unstable, unpacked beside the system and not installed.

apt resolves and downloads the packages with directories of its own; no root rights and no change to the
machine. The programs run through the unpacked root's own dynamic loader, because they need a newer libc
than the machine may have.
"""

import shutil
from pathlib import Path

from tests.lab.cache import cached
from tests.lab.errors import LabError
from tests.lab.mirror import debian_mirror
from tests.lab.processes import run

SUITE = "unstable"
PACKAGES = ("mysql-server-core", "mysql-client-core")
# Only maintainer scripts and helper scripts need these, none of which run here.
UNUSED = ("perl", "libperl")
WRAPPERS = "pullagent-bin"
# The programs of the packages that a host with the true mysql-server and mysql-client would have on PATH.
PROGRAMS = {
    "usr/sbin": ("mysqld",),
    "usr/bin": ("mysql", "mysqldump", "mysqladmin", "mysqlbinlog", "mysqlcheck", "mysqlimport", "mysqlshow"),
}
APT_CONF = """\
Dir::State "{base}/state";
Dir::Cache "{base}/cache";
Dir::Etc::SourceList "{base}/sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::Etc::Preferences "/dev/null";
Dir::Etc::PreferencesParts "/dev/null";
Dir::State::status "{base}/status";
APT::Sandbox::User "";
APT::Install-Recommends "false";
Acquire::Retries "3";
Acquire::Languages "none";
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear DPkg::Pre-Install-Pkgs;
#clear DPkg::Post-Invoke;
"""


def mysql_root() -> Path:
    """The unpacked root, made (65 MB of downloads) if the cache lacks it; LabError without network."""
    return cached("mysql", _build)


def wrappers(root: Path) -> Path:
    """The directory of executables that run the programs of `root`: what belongs first on PATH."""
    return root / WRAPPERS


def _build(target: Path) -> None:
    base = target / "apt"
    archives = _download(base)
    for archive in archives:
        if not archive.name.startswith(UNUSED):
            run(["dpkg-deb", "--extract", archive, target])
    shutil.rmtree(base)
    for folder in ("usr/share/doc", "usr/share/man", "usr/share/locale"):
        shutil.rmtree(target / folder, ignore_errors=True)
    _write_wrappers(target)


def _download(base: Path) -> list[Path]:
    for folder in ("state/lists/partial", "cache/archives/partial"):
        (base / folder).mkdir(parents=True)
    (base / "status").touch()
    (base / "sources.list").write_text(debian_mirror().source(SUITE))
    config = base / "apt.conf"
    config.write_text(APT_CONF.format(base=base))
    apt = ["apt-get", "-c", str(config), "-q", "-y"]
    run([*apt, "--error-on=any", "update"], seconds=300)
    run([*apt, "--download-only", "install", *PACKAGES], seconds=900)
    archives = sorted((base / "cache" / "archives").glob("*.deb"))
    if not archives:
        raise LabError("apt downloaded no package")
    return archives


def _write_wrappers(staged: Path) -> None:
    """One shell script for each program; they find the root by their own place, so the whole can be moved."""
    folder = staged / WRAPPERS
    folder.mkdir()
    loader, libraries = _loader(staged)
    for place, names in PROGRAMS.items():
        for name in names:
            script = folder / name
            # The clients put their bare name before their errors; the server looks itself up on PATH if it
            # has no path.
            file = f'"$root/{place}/{name}"'
            called = file if place == "usr/sbin" else name
            script.write_text(
                '#!/bin/sh\nself=$(readlink -f "$0")\nroot=${self%/*/*}\n'
                f'exec "$root/{loader}" --library-path "{libraries}" --argv0 {called} {file} "$@"\n'
            )
            script.chmod(0o755)


def _loader(root: Path) -> tuple[Path, str]:
    """The dynamic loader's path within `root`, and the library path with `$root` standing for it."""
    found = [file for pattern in ("usr/lib*/ld-linux*.so.*", "usr/lib/ld64.so.*") for file in root.glob(pattern)]
    if not found:
        raise LabError(f"no dynamic loader in {root}")
    folders = [folder for folder in sorted(root.glob("usr/lib/*-linux-gnu*")) if folder.is_dir()]
    plain = [*folders, *(folder / "mysql" / "private" for folder in folders)]
    libraries = [f"$root/{folder.relative_to(root)}" for folder in plain if folder.is_dir()]
    return found[0].relative_to(root), ":".join(libraries)
