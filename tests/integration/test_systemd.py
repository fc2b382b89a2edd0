"""A backup server as an operator sets one up: Debian booted by systemd, `make install`, the timer, the journal."""

import base64
import hashlib
import json
import re
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.integration.agent import open_sealed
from tests.integration.wrappers import DUMPS, programs
from tests.lab.container import Container
from tests.lab.debian import PROJECT, backup_server, why_not
from tests.lab.keys import age_identity
from tests.lab.outside import MailServer, WebServer
from tests.lab.processes import wait_until
from tests.lab.production import ProductionHost
from tests.lab.repository import Repository

REASON = why_not()
pytestmark = pytest.mark.skipif(REASON is not None, reason=str(REASON))

UNITS = (
    "pullagent.service",
    "pullagent.timer",
    "pullagent-mirror.service",
    "pullagent-mirror.socket",
    "pullagent-mirror.timer",
    "pullagent-status.service",
    "pullagent-status.timer",
    "pullagent-verify.service",
    "pullagent-verify.timer",
)
OFFLINE = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "/wheels"}
ERROR, WARNING, NOTICE, INFO = "3", "4", "5", "6"
# Half of what it says at once, the rest once the status of that has been seen.
SLOW = """#!/bin/bash
set -o pipefail
seen() {{ until [ -e {sign} ]; do sleep 0.1; done }}
{real} "$@" | {{ head -c 20000; [[ "$*" != *--databases* ]] || seen; cat; }}
"""


class Server:
    """The booted backup server, and what an operator sees of it."""

    def __init__(self, container: Container, host: ProductionHost, identity: Path) -> None:
        self.container, self.host, self.identity = container, host, identity
        self.run, self.call = container.run, container.call
        self.recipient = age_identity(identity)

    def path(self, inside: str) -> Path:
        """A file of the server, from outside."""
        return self.container.root / inside.lstrip("/")

    def write(self, inside: str, text: str, mode: int = 0o644) -> None:
        """Write a file there as root."""
        path = self.path(inside)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)

    def install(self) -> str:
        """`make install`, with the packages that lie at hand."""
        return self.run("make", "-C", "/usr/src/pullagent", "install", env=OFFLINE, seconds=200)

    def configure(self) -> None:
        """What docs/setup.md has the operator write: keys, hosts.toml, and the pinned host key."""
        key, pins = Path("/etc/pullagent/id_ed25519"), Path("/etc/pullagent/known_hosts")
        self.write(str(key), self.host.identity.read_text(), 0o600)
        toml = self.host.hosts_toml(Path("/srv/pullagent"), self.recipient, key, pins)
        self.write("/etc/pullagent/hosts.toml", toml, 0o640)
        key_of_host = base64.b64decode(self.host.sshd.host_public_key.split()[1])
        fingerprint = base64.b64encode(hashlib.sha256(key_of_host).digest()).decode().rstrip("=")
        self.run("pullagent", "trust", "pavroto-2", "--fingerprint", f"SHA256:{fingerprint}")

    def show(self, unit: str, name: str) -> str:
        """A property of a unit."""
        return self.run("systemctl", "show", "--property", name, "--value", unit).strip()

    def journal(self, unit: str, since: str) -> list[tuple[str, str]]:
        """Priority and text of each line that a unit's own processes wrote."""
        self.run("journalctl", "--sync")
        found = self.run("journalctl", f"_SYSTEMD_UNIT={unit}", f"--since=@{since}", "--output=json")
        lines: list[dict[str, Any]] = [json.loads(line) for line in found.splitlines()]
        return [(line["PRIORITY"], line["MESSAGE"]) for line in lines]

    def ended(self, unit: str, seconds: float = 60) -> list[str]:
        """Wait until a unit has started and ended; every status that it showed meanwhile."""
        seen: list[str] = []

        def over() -> bool:
            # in one answer: what it shows when it is over is then the last that it ever said
            answer = self.run(
                "systemctl", "show", "--property=StatusText,ActiveState,ExecMainExitTimestampMonotonic", unit
            )
            now = dict(line.split("=", 1) for line in answer.splitlines())
            if now["StatusText"] and now["StatusText"] not in seen:
                seen.append(now["StatusText"])
            return now["ActiveState"] in ("inactive", "failed") and now["ExecMainExitTimestampMonotonic"] != "0"

        wait_until(over, seconds, f"{unit} has ended")
        return seen

    def snapshots(self) -> list[Path]:
        """Every published snapshot, from outside."""
        store = self.path("/srv/pullagent")
        return [p for p in store.glob("*/*/*") if not p.relative_to(store).parts[0].startswith(".")]


@pytest.fixture(scope="module")
def server(host: ProductionHost, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A Debian with pullagent installed by `make install`, not yet configured."""
    directory = tmp_path_factory.mktemp("backup-server")
    backup_server(directory / "root")
    with Container(directory / "root", directory / "console.log") as container:
        booted = Server(container, host, directory / "identity.txt")
        booted.install()
        yield booted


def test_make_install_puts_everything_in_place(server: Server) -> None:
    """Program, units, user and directories; nothing is enabled, and nobody's configuration is made up."""
    assert server.run("pullagent", "--version").startswith("pullagent ")
    owners = server.run("stat", "--format=%n %a %U:%G", "/srv/pullagent", "/etc/pullagent", "/var/lib/pullagent")
    assert owners.splitlines() == [
        "/srv/pullagent 700 pullagent:pullagent",
        "/etc/pullagent 2750 root:pullagent",
        "/var/lib/pullagent 700 pullagent:pullagent",
    ]
    assert not server.path("/etc/pullagent/hosts.toml").exists()
    assert server.path("/usr/local/share/doc/pullagent/hosts.toml").exists()
    assert "pullagent restore" in server.path("/usr/local/share/man/man1/pullagent.1").read_text().replace("\\-", "-")
    enabled = server.call("systemctl", "is-enabled", "pullagent.timer", "pullagent-verify.timer").stdout.split()
    assert enabled == ["disabled", "disabled"]
    completion = server.path("/usr/local/share/bash-completion/completions/pullagent").read_text()
    typed = 'COMP_WORDS=(pullagent r); COMP_CWORD=1; _pullagent_completion pullagent; echo "${COMPREPLY[@]}"'
    assert "restore" in server.run("bash", "-c", f"{completion}\n{typed}")


@pytest.mark.parametrize("unit", [*UNITS, "pullagent-failure@x.service"])
def test_systemd_finds_no_fault_with_an_installed_unit(server: Server, unit: str) -> None:
    """`systemd-analyze verify` is silent."""
    done = server.call("systemd-analyze", "verify", unit)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_timer_makes_a_backup(server: Server) -> None:
    """The timer starts the hardened unit, which stores both sources, sealed; the journal and the status tell of it."""
    server.configure()
    sign = server.host.directory / "seen"
    for name, real in programs(server.host, *DUMPS).items():
        server.host.sshd.put_first(name, SLOW.format(real=real, sign=sign))
    since = server.run("date", "+%s").strip()
    # from when it is enabled, however long that takes: a time of day could be over by then
    server.write("/etc/systemd/system/pullagent.timer.d/soon.conf", "[Timer]\nOnCalendar=\nOnActiveSec=1s\n")
    before = server.show("pullagent.timer", "LastTriggerUSec")
    server.run("systemctl", "enable", "--now", "pullagent.timer")
    half = re.compile(r"pavroto-2/agama dump\.sql .*kB")
    wait_until(
        lambda: bool(half.search(server.show("pullagent.service", "StatusText"))), 60, "half of the dump is told"
    )
    sign.touch()
    status = server.ended("pullagent.service")
    server.host.sshd.farm.reset()

    assert server.show("pullagent.service", "Result") == "success", server.journal("pullagent.service", since)
    assert server.show("pullagent.timer", "LastTriggerUSec") != before
    assert status[-1] == "2 stored"
    found = sorted(str(path.parent.relative_to(server.path("/srv/pullagent"))) for path in server.snapshots())
    assert found == ["pavroto-2/agama", "pavroto-2/logs"]
    (agama,) = [path for path in server.snapshots() if path.parent.name == "agama"]
    owner = server.run("stat", "--format=%U %a", f"/{agama.relative_to(server.container.root)}/dump.sql.zst.age")
    assert owner == "pullagent 400\n"
    assert b"Dump completed" in open_sealed(agama / "dump.sql.zst.age", server.identity)
    lines = server.journal("pullagent.service", since)
    assert {priority for priority, _ in lines} == {INFO}
    assert any(text.startswith("pavroto-2/agama: stored pavroto-2/agama@") for _, text in lines)
    assert not any(text.startswith("<") for _, text in lines)


def test_the_status_knows_the_next_run(server: Server) -> None:
    """It asks systemd, whatever the server's time zone; without the timer nothing is promised."""
    drop_in = "/etc/systemd/system/pullagent.timer.d/soon.conf"
    server.path(drop_in).unlink()
    server.run("ln", "-sf", "/usr/share/zoneinfo/Europe/Berlin", "/etc/localtime")
    server.run("systemctl", "daemon-reload")
    ask = ("runuser", "-u", "pullagent", "--", "pullagent", "status", "--json")
    possible = {_next_one_o_clock()}
    server.run("systemctl", "restart", "pullagent.timer")
    answer = json.loads(server.run(*ask))
    possible.add(_next_one_o_clock())
    assert answer["verdict"] == "OK"
    (told,) = {s["next_run"] for s in answer["sources"]}
    assert told in possible
    server.run("systemctl", "stop", "pullagent.timer")
    assert {s["next_run"] for s in json.loads(server.run(*ask))["sources"]} == {None}
    # active as before, but the tests that follow may well run at 01:00
    server.write(drop_in, "[Timer]\nOnCalendar=\nOnActiveSec=1d\n")
    server.run("systemctl", "daemon-reload")
    server.run("systemctl", "start", "pullagent.timer")
    server.ended("pullagent.service")


def _next_one_o_clock() -> str:
    now = datetime.now(UTC)
    day = (now if now.hour < 1 else now + timedelta(days=1)).date()
    return f"{day}T01:00:00Z"


def test_the_hardened_unit_pings_and_writes_the_textfile(server: Server) -> None:
    """What is sent goes out from within the unit, and the textfile can be read by others."""
    textfile = "/srv/pullagent/pullagent.prom"
    with WebServer() as web, MailServer() as mail:
        text = server.path("/etc/pullagent/hosts.toml").read_text()
        more = f'[notify]\nping_url = "{web.url}"\nmessage_urls = ["{mail.url}"]\n'
        more += f'[monitoring]\nprometheus_file = "{textfile}"\n'
        server.write("/etc/pullagent/hosts.toml", more + text, 0o640)
        server.run("systemctl", "start", "pullagent.service")
        server.configure()
        assert web.heard == [("/secret-7f3a/start", ""), ("/secret-7f3a", "2 of 2 stored, exit code 0")]
        assert mail.mails == []
    assert server.path(textfile).stat().st_mode & 0o777 == 0o644
    assert 'pullagent_verdict{host="pavroto-2",source="agama",verdict="OK"} 1' in server.path(textfile).read_text()


def test_a_failed_night_is_told_in_the_journal(server: Server) -> None:
    """Errors and hints have their priority; the failure unit repeats the last words where nobody passes over them."""
    since = server.run("date", "+%s").strip()
    server.host.sshd.stop()
    try:
        done = server.call("systemctl", "start", "pullagent.service")
    finally:
        server.host.sshd.start()
    assert done.returncode != 0
    assert server.show("pullagent.service", "ExecMainStatus") == "1"
    lines = server.journal("pullagent.service", since)
    assert any(p == ERROR and text.startswith("error: pavroto-2/agama, pavroto-2/logs: ") for p, text in lines), lines
    assert any(p == NOTICE and text.startswith("hint: ") for p, text in lines)
    assert any(p == WARNING and text.startswith("pavroto-2/agama: failed") for p, text in lines)
    told = "pullagent-failure@pullagent.service.service"
    server.ended(told)
    assert server.show(told, "Result") == "success"
    critical = [text for priority, text in server.journal(told, since) if priority == "2"]
    assert critical[0].startswith("pullagent.service failed: exit code 1")
    assert any("refused the connection" in text for text in critical)
    assert critical[-1].startswith("look:  journalctl --unit=pullagent.service")


def test_the_hourly_look_passes_over_what_was_told_and_tells_what_is_overdue(server: Server) -> None:
    """A failed night within the objective is that night's failure; a source that was never backed up is told once."""
    since, told = server.run("date", "+%s").strip(), "pullagent-failure@pullagent-status.service.service"
    server.run("systemctl", "enable", "--now", "pullagent-status.timer")
    assert server.show("pullagent-status.timer", "ActiveState") == "active"
    server.run("systemctl", "stop", "pullagent-status.timer")
    server.run("systemctl", "start", "pullagent-status.service")
    assert server.show("pullagent-status.service", "ExecMainStatus") == "1"
    source = '[hosts.pavroto-2.sources.new]\nkind = "mysql"\ndatabases = ["new"]\n'
    text = server.path("/etc/pullagent/hosts.toml").read_text()
    server.write("/etc/pullagent/hosts.toml", f"{text}\n{source}", 0o640)
    try:
        for _ in range(2):
            assert server.call("systemctl", "start", "pullagent-status.service").returncode != 0
            server.ended(told)
    finally:
        server.configure()
    assert server.show("pullagent-status.service", "ExecMainStatus") == "2"
    lines = [text for priority, text in server.journal(told, since) if priority == "2"]
    assert lines[0] == "pullagent-status.service failed: exit code 2. Its last words:"
    assert any("names nobody to send messages to" in line for line in lines)
    assert sum("failed: " in line for line in lines) == 1


MIRROR = "/srv/pullagent/.mirrors/pavroto-2/ansible.git"


@pytest.fixture(scope="module")
def repository(server: Server) -> Repository:
    """A git repository on the host that is a source now, and has the hook of docs/setup.md."""
    made = Repository(server.host.directory / "git" / "ansible.git")
    hook = made.bare / "hooks" / "post-receive"
    (line,) = [text for text in (PROJECT / "docs/setup.md").read_text().splitlines() if "/dev/udp/" in text]
    hook.write_text("#!/bin/bash\n" + line.replace("backup.pavroto.ttu", "127.0.0.1") + "\n")
    hook.chmod(0o755)
    server.configure()
    text = server.path("/etc/pullagent/hosts.toml").read_text()
    source = f'[hosts.pavroto-2.sources.ansible]\nkind = "git"\nurl = "{made.bare}"\n'
    server.write("/etc/pullagent/hosts.toml", f"{text}\n{source}", 0o640)
    return made


def test_a_push_is_mirrored_at_once(server: Server, repository: Repository) -> None:
    """A datagram from the repository's hook starts the unit; a flood of them starts it no more often than the pause
    after each pass lets it, and nothing that came meanwhile is forgotten.
    """
    server.run("pullagent", "mirror")
    owner = server.run("stat", "--format=%U %a", MIRROR)
    assert owner == "pullagent 700\n"
    server.run("systemctl", "enable", "--now", "pullagent-mirror.socket")
    lags = []
    for number in range(2):
        commit = repository.commit("site.yml", f"- hosts: all  # {number}\n")
        begun = time.monotonic()
        repository.git("push", "--quiet", "origin", "main")
        assert time.monotonic() - begun < 5
        wait_until(lambda: repository.refs(server.path(MIRROR))["refs/heads/main"] == commit, 30, "mirrored")  # noqa: B023
        lags.append(time.monotonic() - begun)
    print("from push to mirrored, in seconds:", [round(lag, 1) for lag in lags])
    since = server.run("date", "+%s").strip()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as endpoint:
        for _ in range(60):
            endpoint.sendto(b"x" * 100, ("127.0.0.1", 9417))
            time.sleep(0.1)
    assert server.show("pullagent-mirror.socket", "ActiveState") == "active"
    starts = server.run("journalctl", f"--since=@{since}", "--output=cat", "--unit=pullagent-mirror.service")
    assert 1 <= starts.count("Starting pullagent-mirror.service") <= 3


def test_the_minute_s_timer_starts_it_too(server: Server, repository: Repository) -> None:
    """For those whose pushes tell nobody."""
    server.run("systemctl", "disable", "--now", "pullagent-mirror.socket")
    commit = repository.commit("site.yml", "- hosts: none\n")
    repository.git("push", "--quiet", "origin", "main")
    # the pause has been seen
    server.write("/etc/systemd/system/pullagent-mirror.service.d/now.conf", "[Service]\nExecStopPost=\n")
    often = "[Timer]\nOnCalendar=\nOnCalendar=*-*-* *:*:0/5\n"
    server.write("/etc/systemd/system/pullagent-mirror.timer.d/often.conf", often)
    server.run("systemctl", "daemon-reload")
    server.run("systemctl", "enable", "--now", "pullagent-mirror.timer")
    wait_until(lambda: repository.refs(server.path(MIRROR))["refs/heads/main"] == commit, 40, "mirrored")
    clone = json.loads(server.call("pullagent", "status", "--json").stdout)["sources"][-1]["mirror"]["clone"]
    server.run("sh", "-c", f"cd /root && {clone} work && grep -q none work/site.yml")
    server.run("runuser", "-u", "pullagent", "--", "git", "clone", "--quiet", MIRROR, "/var/lib/pullagent/work")


def test_a_mirror_that_fails_each_minute_is_told_once(server: Server, repository: Repository) -> None:
    """The failure unit is started each time, and speaks the first time."""
    server.run("systemctl", "stop", "pullagent-mirror.timer", "pullagent-mirror.service")
    since = server.run("date", "+%s").strip()
    away = repository.bare.rename(repository.bare.with_suffix(".away"))
    told = "pullagent-failure@pullagent-mirror.service.service"
    try:
        for _ in range(2):
            assert server.call("systemctl", "start", "pullagent-mirror.service").returncode != 0
            server.ended(told)
    finally:
        away.rename(repository.bare)
    lines = [text for priority, text in server.journal(told, since) if priority == "2"]
    assert [line for line in lines if "failed: " in line] == [
        "pullagent-mirror.service failed: exit code 1. Its last words:"
    ]
    said = server.journal("pullagent-mirror.service", since)
    assert sum(priority == ERROR for priority, _ in said) == 1
    assert any("still fails" in text for _, text in said)
    server.run("systemctl", "start", "pullagent-mirror.service")
    server.run("systemctl", "enable", "--now", "pullagent-mirror.socket")
    server.configure()


def test_a_key_elsewhere_needs_no_credential(server: Server) -> None:
    """Without the usual key the unit still starts, and pulls with the one that hosts.toml names."""
    stored = len(server.snapshots())
    usual, other = server.path("/etc/pullagent/id_ed25519"), "/etc/pullagent/another_key"
    usual.rename(server.path(other))
    server.run("chown", "pullagent:", other)
    hosts = server.path("/etc/pullagent/hosts.toml")
    before = hosts.read_text()
    hosts.write_text(before.replace("/etc/pullagent/id_ed25519", other))
    try:
        server.run("systemctl", "start", "pullagent.service")
    finally:
        hosts.write_text(before)
        server.run("chown", "root:", other)
        server.path(other).rename(usual)
    assert len(server.snapshots()) == stored + 2


def test_root_s_key_serves_root_alone(server: Server) -> None:
    """By hand root pulls with it, for the store's owner; that account itself hears where to go."""
    stored = len(server.snapshots())
    server.run("pullagent", "run", "pavroto-2/agama")
    owners = server.run("find", "/srv/pullagent", "-not", "-user", "pullagent")
    assert (len(server.snapshots()), owners) == (stored + 1, "")
    done = server.call("runuser", "-u", "pullagent", "--", "pullagent", "run", "pavroto-2/agama")
    assert done.returncode == 2
    assert "hint: run it as root" in done.stderr


def test_installing_again_keeps_what_is_there(server: Server) -> None:
    """An upgrade leaves configuration, store and the enabled timer as they are."""
    before = server.path("/etc/pullagent/hosts.toml").read_text(), len(server.snapshots())
    server.install()
    assert (server.path("/etc/pullagent/hosts.toml").read_text(), len(server.snapshots())) == before
    assert server.show("pullagent.timer", "ActiveState") == "active"
    assert server.run("pullagent", "list", "--json").count('"ref"') == before[1]


def test_uninstalling_leaves_store_and_configuration(server: Server) -> None:
    """Program and units go, the timer with them; backups and keys stay."""
    stored = len(server.snapshots())
    server.run("make", "-C", "/usr/src/pullagent", "uninstall")
    left = server.run("find", "/usr/local", "/etc/systemd", "-name", "*pullagent*")
    assert sorted(left.split()) == [
        f"/etc/systemd/system/pullagent{name}.d" for name in ("-mirror.service", "-mirror.timer", ".timer")
    ]
    assert server.show("pullagent.timer", "LoadState") == "not-found"
    assert len(server.snapshots()) == stored
    assert server.path("/etc/pullagent/hosts.toml").exists()
