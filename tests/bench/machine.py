"""On what it is measured, and with which versions."""

import os
import platform
import re
import subprocess
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from tests.lab import influxdb, mariadb
from tests.lab.mysql_root import mysql_root, wrappers


def machine() -> dict[str, str]:
    """Where it is measured, and when."""
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    memory = int(Path("/proc/meminfo").read_text().split()[1]) / 1024**2
    return {
        "processor": f"{cpu[1] if cpu else platform.machine()}, {os.cpu_count()} cores",
        "memory": f"{memory:.0f} GiB",
        "kernel": platform.release(),
        "measured": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def versions() -> dict[str, str]:
    """Of everything that takes part."""
    commands: dict[str, list[str | Path]] = {
        "age": ["age", "--version"],
        "zstd": ["zstd", "--version"],
        "OpenSSH": ["ssh", "-V"],
        "restic": ["restic", "version"],
        "borg": ["borg", "--version"],
        "MariaDB": [mariadb.DAEMON, "--version"],
        "MySQL": [wrappers(mysql_root()) / "mysqld", "--no-defaults", "--version"],
        "InfluxDB": [influxdb.DAEMON, "version"],
    }
    commit = _first_line(["git", "describe", "--always", "--dirty"])
    own = {"pullagent": f"{version('pullagent')} ({commit})", "Python": platform.python_version()}
    libraries = {name: version(name) for name in ("paramiko", "cryptography", "zstandard")}
    return {**own, **libraries, **{name: _number(_first_line(argv)) for name, argv in commands.items()}}


def _number(told: str) -> str:
    """The version in a line such as `borg 1.2.4`; a line without one as it is."""
    found = re.search(r"\d+\.\d[\w.+-]*", told)
    return found[0].strip(".") if found else told


def _first_line(argv: Sequence[str | Path]) -> str:
    try:
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=30)
    except FileNotFoundError:
        return "not installed"
    return next(iter((done.stdout + done.stderr).strip().splitlines()), "unknown")
