"""The Debian mirror that this machine's own apt uses, read at run time."""

import platform
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.lab.errors import LabError
from tests.lab.processes import run

_ONE_LINE = re.compile(r"^deb\s+(?:\[(?P<options>[^]]*)\]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)(?P<components>[^#]*)")


@dataclass(frozen=True)
class Mirror:
    """One archive of packages."""

    uri: str
    suites: tuple[str, ...]
    components: tuple[str, ...]
    signed_by: str | None
    """The path of its keyring; None where apt's own trusted keys are used."""

    def source(self, suite: str) -> str:
        """The one-line source for the main component of another suite of the same archive."""
        options = f"[signed-by={self.signed_by}] " if self.signed_by else ""
        return f"deb {options}{self.uri} {suite} main\n"


def debian_mirror() -> Mirror:
    """The archive that serves this machine's own Debian release; LabError if apt knows none."""
    codename = platform.freedesktop_os_release().get("VERSION_CODENAME", "")
    wanted = {codename, "stable", "testing", "unstable", "sid"}
    for mirror in _mirrors():
        if wanted.intersection(mirror.suites) and "main" in mirror.components:
            return mirror
    raise LabError("this machine's apt sources name no Debian archive, from which MySQL could be had")


def _mirrors() -> Iterator[Mirror]:
    main, parts = _source_locations()
    files = ([main] if main.is_file() else []) + (sorted(parts.iterdir()) if parts.is_dir() else [])
    for file in files:
        if file.suffix == ".sources":
            yield from deb822_mirrors(file.read_text())
        elif file.suffix == ".list":
            yield from one_line_mirrors(file.read_text())


def _source_locations() -> tuple[Path, Path]:
    """Where apt reads its sources from: the file and the directory."""
    shell = run(["apt-config", "shell", "FILE", "Dir::Etc::sourcelist/f", "PARTS", "Dir::Etc::sourceparts/d"]).decode()
    found = dict(re.findall(r"^(FILE|PARTS)='(.*)'$", shell, re.MULTILINE))
    try:
        return Path(found["FILE"]), Path(found["PARTS"])
    except KeyError as error:
        raise LabError(f"apt-config does not say where the sources are: {shell!r}") from error


def one_line_mirrors(text: str) -> Iterator[Mirror]:
    """The archives in the one-line format (sources.list(5))."""
    for line in text.splitlines():
        match = _ONE_LINE.match(line.strip())
        if match:
            options = dict(re.findall(r"(\S+?)=(\S+)", match["options"] or ""))
            components = tuple(match["components"].split())
            yield Mirror(match["uri"], (match["suite"],), components, options.get("signed-by"))


def deb822_mirrors(text: str) -> Iterator[Mirror]:
    """The archives in the deb822 format, disabled ones left out; a key inside the file is not used."""
    for stanza in re.split(r"\n\s*\n", text):
        fields = _fields(stanza)
        if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes").lower() in (
            "no",
            "false",
        ):
            continue
        key = fields.get("signed-by", "")
        for uri in fields.get("uris", "").split():
            yield Mirror(
                uri,
                tuple(fields.get("suites", "").split()),
                tuple(fields.get("components", "").split()),
                key if key.startswith("/") else None,
            )


def _fields(stanza: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    name = ""
    for line in stanza.splitlines():
        if line.startswith("#") or not line.strip():
            continue
        if line[0] in " \t" and name:
            fields[name] += " " + line.strip()
        else:
            name, _, value = line.partition(":")
            name = name.strip().lower()
            fields[name] = value.strip()
    return fields
