"""The ways to restore an InfluxDB that asks for a login: beside, in place of, merged; users, queries, configuration."""

import base64
import re
import shlex
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.agent import LOGS, Agent, wait_for_file
from tests.integration.wrappers import wrap
from tests.lab.data import influx_points
from tests.lab.influxdb import ADMIN, InfluxDB
from tests.lab.processes import wait_until
from tests.lab.production import ProductionHost

PASSWORD = re.compile(r"new password, shown only here: (\S+)")


class Place:
    """A host whose InfluxDB asks for a login, its backup server with one snapshot, and the points there were."""

    def __init__(self, directory: Path) -> None:
        self.host = ProductionHost(directory / "host", influx_auth=True)
        self.host.start()
        self.host.seed(rows=1, points=600)
        assert self.host.influxdb is not None
        self.influx: InfluxDB = self.host.influxdb
        login = directory / "host" / "influx.env"
        login.write_text(f"INFLUX_USERNAME={ADMIN[0]}\nINFLUX_PASSWORD={shlex.quote(ADMIN[1])}\n")
        self.agent = Agent(directory / "backup", self.host)
        self.agent.edit('kind = "influxdb"', f'kind = "influxdb"\nenv_file = "{login}"')
        self.agent.call("run", LOGS).succeeded()
        self.before = influx_points(self.influx, "logs")

    def points(self, database: str = "logs") -> Any:
        """All points of a database."""
        return influx_points(self.influx, database)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """One for the module; a test that breaks it mends it."""
    made = Place(tmp_path_factory.mktemp("place"))
    try:
        yield made
    finally:
        made.host.destroy()


def restore(place: Place, *options: str) -> Any:
    """A restore that succeeds; its objects."""
    report = place.agent.restore(f"{LOGS}@latest", "--json", *options).succeeded().json
    assert report["ok"] is True
    assert list(place.host.staging.iterdir()) == []
    return report["objects"]


def may(place: Place, user: str, password: str, query: str) -> bool:
    """Whether `user` may log in and ask for this."""
    url = f"http://127.0.0.1:{place.influx.http_port}/query?{urllib.parse.urlencode({'q': query, 'db': 'logs'})}"
    login = base64.b64encode(f"{user}:{password}".encode()).decode()
    request = urllib.request.Request(url, headers={"Authorization": f"Basic {login}"})
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=20) as answer:
            return b'"error"' not in answer.read()
    except urllib.error.HTTPError:
        return False


def test_another_name(place: Place) -> None:
    """With --into the points come into a database of that name; the old one, users and queries are left alone."""
    objects = restore(place, "--into", "logs copy")
    assert {o["kind"] for o in objects} == {"database", "field values"}
    assert place.points("logs copy") == place.before
    assert place.points() == place.before
    place.agent.restore(f"{LOGS}@latest", "--into", "logs copy").failed(1, "logs copy holds points", "--replace")
    place.influx.query('DROP DATABASE "logs copy"')


def test_what_comes_while_it_asks_is_kept(place: Place) -> None:
    """Points that are written between the look and the answer stay."""

    def filled() -> str:
        place.influx.query('CREATE DATABASE "later"')
        place.influx.write("later", "since x=1 1700000000000000000\n")
        return "yes\n"

    done = place.agent.restore_asked(f"{LOGS}@latest", "--into", "later", answer=filled)
    assert done.code == 1
    assert "since the target was looked at" in done.screen
    assert place.influx.column("SHOW MEASUREMENTS", "later") == ["since"]
    place.influx.query('DROP DATABASE "later"')


def test_a_name_that_no_restore_may_have(place: Place) -> None:
    """The server's own database cannot be named."""
    place.agent.restore(f"{LOGS}@latest", "--into", "_internal", "--replace").failed(2, "--into: found '_internal'")


def test_replace(place: Place) -> None:
    """With --replace what stands there is dropped, strangers too; what users were granted meanwhile stays."""
    place.influx.write("logs", "stranger x=1 1700000000000000000\n")
    place.influx.query('GRANT ALL ON "logs" TO "grafana"')
    done = place.agent.restore(f"{LOGS}@latest", "--replace").succeeded()
    assert "DROPPED" in done.out
    assert place.points() == place.before
    assert ["logs", "ALL PRIVILEGES"] in place.influx.series('SHOW GRANTS FOR "grafana"')[0]["values"]
    place.influx.query('GRANT READ ON "logs" TO "grafana"')


def test_merging_as_the_hint_says(place: Place) -> None:
    """Typed as the refusal words it, the way to merge brings lost points back and keeps what came since."""
    place.influx.query('DROP MEASUREMENT "deploy"', "logs")
    place.influx.write("logs", "later x=1 1700000000000000000\n")
    refused = place.agent.restore(f"{LOGS}@latest").failed(1, "holds points already", "to merge")
    into = re.search(r"--into (\S+),", refused.err)
    assert into
    restore(place, "--into", into[1])
    statements = re.findall(r"^hint: +(SELECT .*)$", refused.err, re.M)
    assert len(statements) == 3
    for statement in statements:
        place.influx.query(statement)
    place.influx.query('DROP MEASUREMENT "later"', "logs")
    assert place.points() == place.before
    place.influx.query(f'DROP DATABASE "{into[1]}"')


@pytest.mark.parametrize("option", [("--table", "request"), ("--schema-only",)])
def test_what_means_nothing_here(place: Place, option: tuple[str, ...]) -> None:
    """Options for tables end with 2 and change nothing."""
    place.agent.restore(f"{LOGS}@latest", "--replace", *option).failed(
        2, f"{option[0]} means nothing to a snapshot of kind influxdb"
    )
    assert place.points() == place.before


def test_a_dry_run_touches_nothing(place: Place) -> None:
    """It shows what it looked at, and leaves points and ledger as they are."""
    entries = len(place.agent.ledger())
    done = place.agent.restore(f"{LOGS}@latest", "--dry-run", "--replace").succeeded()
    assert "it will be DROPPED" in done.out
    assert place.agent.restore(f"{LOGS}@latest", "--dry-run").code == 1
    assert place.points() == place.before
    assert len(place.agent.ledger()) == entries


def test_a_version_too_far_away_is_told(place: Place) -> None:
    """Minor releases further apart than one are a doubt in the preflight; the next one is none."""
    for version, result in (("1.8.10", "warn"), ("1.7.0", "ok")):
        wrap(place.agent, ("influx",), f'{{real}} "$@" | sed \'s/1[.]6[.]7[^"]*/{version}/\'')
        checks = place.agent.restore(f"{LOGS}@latest", "--dry-run", "--replace", "--json").json["checks"]
        place.host.sshd.farm.reset()
        server = next(c for c in checks if c["name"] == "server")
        assert (server["result"], version in server["detail"]) == (result, True)


def test_users_come_back_with_new_passwords(place: Place) -> None:
    """Users are made anew, log in with the passwords shown, may what they might, and nothing else knows these."""
    spied = place.host.directory / "arguments"
    for user in ("grafana", "writer o'b", "boss"):
        place.influx.query(f'DROP USER "{user}"')
    place.influx.query('DROP CONTINUOUS QUERY "request hourly" ON "logs"')
    wrap(place.agent, ("influx", "influxd"), f'printf "%s\\n" "$@" >>{spied}\nexec {{real}} "$@"')
    objects = restore(place, "--replace")
    place.host.sshd.farm.reset()
    shown = {o["name"]: PASSWORD.search(o["found"]) for o in objects if o["kind"] == "user"}
    passwords = {user: match[1] for user, match in shown.items() if match}
    assert passwords.keys() == {"grafana", "writer o'b", "boss"}
    assert {o["name"] for o in objects if o["kind"] == "grant"} == {"grafana on logs", "writer o'b on logs"}
    assert may(place, "grafana", passwords["grafana"], 'SELECT * FROM "request" LIMIT 1')
    assert not may(place, "grafana", "graf$ana 'q'", 'SELECT * FROM "request" LIMIT 1')
    assert not may(place, "grafana", passwords["grafana"], "SHOW USERS")
    assert not may(place, "writer o'b", passwords["writer o'b"], 'SELECT * FROM "request" LIMIT 1')
    assert may(place, "boss", passwords["boss"], "SHOW USERS")
    assert {o["name"] for o in objects if o["kind"] == "continuous query"} == {"logs: request hourly"}
    assert "request_1h" in str(place.influx.query("SHOW CONTINUOUS QUERIES"))
    places = [spied, *(f for f in place.agent.store.rglob("*") if f.is_file()), place.influx.log, place.host.sshd.log]
    assert [f for f in places for p in passwords.values() if p.encode() in f.read_bytes()] == []


@pytest.fixture
def changed_configuration(place: Place) -> Iterator[Path]:
    """The target's configuration file, with other lines than the snapshot's."""
    file = place.influx.config_file
    stored = file.read_text()
    file.write_text(stored.replace("log-enabled = false", "log-enabled = true # \x1b[31m"))
    file.chmod(0o640)
    yield file
    file.write_text(stored)
    for kept in file.parent.glob("*.before-restore*"):
        kept.unlink()


def test_configuration_is_shown_and_left(place: Place, changed_configuration: Path) -> None:
    """A restore tells how configuration files differ, without what steers a terminal, and does not touch them."""
    before = changed_configuration.read_bytes()
    done = place.agent.restore(f"{LOGS}@latest", "--replace").succeeded()
    assert f"configuration file {changed_configuration}: differs from the snapshot's:" in done.out
    assert "-  log-enabled = true # \\x1b[31m" in done.out
    assert "+  log-enabled = false" in done.out
    assert changed_configuration.read_bytes() == before
    changed_configuration.unlink()
    done = place.agent.restore(f"{LOGS}@latest", "--replace").succeeded()
    assert f"{changed_configuration}: missing on the target" in done.out
    assert not changed_configuration.exists()


def test_configuration_on_request(place: Place, changed_configuration: Path) -> None:
    """With --config-files the stored file takes the other's place, which stays beside it; once more changes nothing."""
    kept = changed_configuration.with_name("influxdb.conf.before-restore")
    other = changed_configuration.read_bytes()
    done = place.agent.restore(f"{LOGS}@latest", "--replace", "--config-files").succeeded()
    assert f"put in place; the old one is {kept}; influxd reads it when it is restarted" in done.out
    assert kept.read_bytes() == other
    assert b"log-enabled = false" in changed_configuration.read_bytes()
    assert changed_configuration.stat().st_mode & 0o777 == 0o640
    done = place.agent.restore(f"{LOGS}@latest", "--replace", "--config-files").succeeded()
    assert f"configuration file {changed_configuration}: equal" in done.out
    assert sorted(f.name for f in changed_configuration.parent.glob("influxdb.conf*")) == [
        "influxdb.conf",
        "influxdb.conf.before-restore",
    ]


def test_configuration_that_cannot_be_written(place: Place, changed_configuration: Path) -> None:
    """A login that may not write there is told so before anything is changed."""
    wrap(place.agent, ("dirname",), "echo /etc/hostname")
    before = changed_configuration.read_bytes()
    done = place.agent.restore(f"{LOGS}@latest", "--replace", "--config-files")
    place.host.sshd.farm.reset()
    done.failed(1, "cannot be written there", "log in as root")
    assert changed_configuration.read_bytes() == before
    assert place.points() == place.before


HANGING = """#!/bin/bash
[ "$1" = restore ] || exec {real} "$@"
echo $$ >{sign}.new; mv {sign}.new {sign}
sleep 300 & wait
"""


@pytest.mark.parametrize(("number", "code"), [("INT", 130), ("TERM", 143)])
def test_a_restore_that_is_stopped(place: Place, number: str, code: int) -> None:
    """It says what the target holds and how to start over, ends what runs there, and starting over succeeds."""
    sign = wrap(place.agent, ("influxd",), HANGING)
    target = ("--to", f"{place.host.sshd.user}@pavroto-2", "--ssh-key", place.host.identity)
    process = place.agent.start(
        "restore", f"{LOGS}@latest", *target, "--identity", place.agent.identity, "--yes", "--replace"
    )
    wait_for_file(sign)
    process.send_signal({"INT": 2, "TERM": 15}[number])
    _, err = process.communicate(timeout=30)
    place.host.sshd.farm.reset()
    assert process.returncode == code
    assert "pavroto-2 is half restored, and logs is not usable as it is" in err.decode()
    assert re.search(r"^hint:   pullagent --config \S+ restore .* --replace$", err.decode(), re.M)
    wait_until(lambda: not list(place.host.staging.iterdir()), 10, "the restore's directory on the host is gone")
    assert place.agent.ledger()[-1]["exit_code"] == code
    restore(place, "--replace")
    assert place.points() == place.before


def test_a_restore_that_loses_its_connection(place: Place) -> None:
    """It ends with 1 and says what the target holds; starting over ends what still runs there, and succeeds."""
    sign = wrap(place.agent, ("influxd",), HANGING)
    target = ("--to", f"{place.host.sshd.user}@pavroto-2", "--ssh-key", place.host.identity)
    process = place.agent.start(
        "restore", f"{LOGS}@latest", *target, "--identity", place.agent.identity, "--yes", "--replace"
    )
    wait_for_file(sign)
    place.host.sshd.drop(commands=False)
    _, err = process.communicate(timeout=60)
    place.host.sshd.farm.reset()
    assert process.returncode == 1
    assert "is half restored" in err.decode()
    assert len(list(place.host.staging.iterdir())) == 1
    restore(place, "--replace")
    assert place.points() == place.before
