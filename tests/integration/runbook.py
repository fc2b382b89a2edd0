"""docs/backup_restore.md as something to run: its code blocks, typed one by one, against what it says they answer.

In a `text` block the lines must come in this order. A line `…` stands for any lines, also for none; `…` within a line
for any text; a figure for any figure; a space for any spaces.
"""

import re
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.integration.agent import HOST, Agent
from tests.lab.processes import run

DOCUMENT = Path(__file__).parents[2] / "docs" / "backup_restore.md"
_BLOCK = re.compile(r"^```(sh|text)\n(.*?)^```$", re.M | re.S)


@dataclass(frozen=True)
class Step:
    """What is typed, and what must come; empty where the document shows nothing."""

    typed: str
    expected: str


def steps(heading: str) -> list[Step]:
    """The blocks below `## heading`."""
    text = DOCUMENT.read_text()
    assert f"\n## {heading}\n" in text
    section = text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    blocks = [(kind, body) for kind, body in _BLOCK.findall(section)]
    found = []
    for number, (kind, body) in enumerate(blocks):
        if kind == "sh":
            following = blocks[number + 1] if number + 1 < len(blocks) else ("", "")
            found.append(Step(body, following[1] if following[0] == "text" else ""))
    return found


def pattern(expected: str) -> "re.Pattern[str]":
    """What the lines of a `text` block match."""
    lines = [r"(?:.*\n)*?" if line == "…" else _line(line) for line in expected.splitlines()]
    return re.compile("".join(lines))


def _line(line: str) -> str:
    # ids and figures first, then the gaps, so that no replacement meets another's
    parts = re.split(r"(\d{4}-\d\d-\d\dT\d{6}Z|\d[\d.,]*|\s*…\s*|\s+)", line)
    return "".join(map(_part, parts)) + r"[ \t]*\n"


def _part(part: str) -> str:
    if re.fullmatch(r"\d{4}-\d\d-\d\dT\d{6}Z", part):
        return r"\d{4}-\d\d-\d\dT\d{6}Z"
    if re.fullmatch(r"\d[\d.,]*", part):
        return r"\d[\d.,]*"
    if "…" in part:
        return r".*"
    return r"\s+" if part.isspace() else re.escape(part)


class Operator:
    """Somebody at the backup server who types what the document says. What differs from it stands here alone."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._directory = agent.home / "seat"
        self._directory.mkdir(mode=0o700, exist_ok=True)
        self.seconds: dict[str, float] = {}
        (agent.home / "pullagent-identity.txt").write_bytes(agent.identity.read_bytes())
        self._programs()

    def substitutions(self) -> dict[str, str]:
        """The laboratory's names for what the document names."""
        shown = run(["ssh-keygen", "-l", "-f", "-"], data=self._agent.host.sshd.host_public_key.encode())
        return {
            "/srv/pullagent": str(self._agent.store),
            "root@": f"{self._agent.host.sshd.user}@",
            "SHA256:…": shown.split()[1].decode(),
        }

    def follow(self, heading: str) -> None:
        """Type all blocks of a section in one shell; AssertionError at the first that fails or answers otherwise."""
        found = steps(heading)
        assert found
        replaced = self.substitutions()
        script = "set -eu\n"
        for step in found:
            script += f"{_with(step.typed, replaced)}\nprintf '\\036'\n"
        begun = time.monotonic()
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=self._directory,
            env=self._agent.environment(
                {"PATH": f"{self._directory}/bin:/usr/local/bin:/usr/bin:/bin:/sbin:/usr/sbin"}
            ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=300,
            check=False,
        )
        self.seconds[heading] = time.monotonic() - begun
        answers = done.stdout.decode().split("\x1e")
        assert done.returncode == 0, answers[-1]
        for step, answer in zip(found, answers, strict=False):
            # the first two are what is typed, and so never stand in what comes back
            expected = step.expected.replace("root@", replaced["root@"])
            assert not expected or pattern(expected).fullmatch(answer), f"{step.typed}\n{expected}\n---\n{answer}"

    def _programs(self) -> None:
        """`pullagent` with this configuration, and an `ssh` that knows where the host is."""
        agent, host = self._agent, self._agent.host
        known, config = self._directory / "known_hosts", self._directory / "ssh_config"
        config.write_text(
            f"Host {HOST}\nHostName 127.0.0.1\nPort {host.sshd.port}\nIdentityFile {host.identity}\n"
            f"UserKnownHostsFile {known}\nGlobalKnownHostsFile /dev/null\nLogLevel ERROR\n"
            "StrictHostKeyChecking accept-new\n"
        )
        own = [sys.executable, "-m", "pullagent", "--config", str(agent.config_file)]
        for name, command in {"pullagent": own, "ssh": ["/usr/bin/ssh", "-F", str(config)]}.items():
            file = self._directory / "bin" / name
            file.parent.mkdir(exist_ok=True)
            file.write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n')
            file.chmod(0o755)
        keys = agent.home / ".ssh"
        keys.mkdir(mode=0o700, exist_ok=True)
        (keys / "id_ed25519").write_bytes(host.identity.read_bytes())
        (keys / "id_ed25519").chmod(0o600)


def stock_clients(agent: Agent) -> None:
    """What root has on a host: clients that find their server without being told where."""
    host = agent.host
    client = host.server.client()[1:4]
    host.sshd.put_first("mysql", f'exec {host.sshd.farm.real("mysql")} {shlex.join(client)} "$@"')
    if host.influxdb is not None:
        api, backup = host.influxdb.http_port, host.influxdb.backup_port
        host.sshd.put_first("influx", f'exec {host.sshd.farm.real("influx")} -port {api} "$@"')
        restore = f'shift; exec {host.sshd.farm.real("influxd")} restore -host 127.0.0.1:{backup} "$@"'
        host.sshd.put_first("influxd", f'[ "$1" != restore ] || {{ {restore}; }}')


def _with(text: str, replaced: Mapping[str, str]) -> str:
    for old, new in replaced.items():
        text = text.replace(old, new)
    return text
