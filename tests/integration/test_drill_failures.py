"""What drills find missing, and that they leave nothing behind however they end."""

import signal
from pathlib import Path
from subprocess import Popen

import pytest

from tests.integration.agent import AGAMA, LOGS
from tests.integration.drills import Drills, _drills, _place  # noqa: F401 - fixtures
from tests.lab.guard import descendants
from tests.lab.processes import wait_until


def hang(drills: Drills) -> "Drills":
    """Have the client that loads stay, once the server is up."""
    drills.put_first("mariadb", 'case "$*" in *--binary-mode*) exec sleep 300 ;; esac\nexec {real} "$@"')
    return drills


def test_lost_rows_are_found(drills: Drills) -> None:
    """A load that ends well without a table's rows fails the drill, which names the table."""
    without = "sed -e '/^INSERT INTO .place/,/;$/d'"
    drills.put_first(
        "mariadb", f'case "$*" in *--binary-mode*) {without} | {{real}} "$@"; exit ;; esac\nexec {{real}} "$@"'
    )
    done = drills.call(f"{AGAMA}@latest", "--json")
    assert (done.code, done.json["ok"]) == (1, False), done
    differing = [o for o in done.json["objects"] if not o["equal"]]
    assert [(o["name"], o["expected"], o["found"]) for o in differing] == [("agama.place", 2, 0)]
    line = drills.evidence()
    assert (line["ok"], line["exit_code"], line["detail"]["differing"]) == (False, 1, 1)
    assert "place" not in str(line["detail"])
    assert drills.left() == []
    assert "the last drill FAILED" in drills.agent.call("status").out


def test_lost_points_are_found(drills: Drills) -> None:
    """A shard file that is missing at the restore is found by the count of points."""
    drills.put_first(
        "influxd", '[ "$1" != restore ] || rm "$(ls -S "${@: -1}"/*.s*.tar.gz | head -n 1)"\nexec {real} "$@"'
    )
    done = drills.call(f"{LOGS}@latest")
    assert (done.code, "NOT EQUAL" in done.out) == (1, True), done
    assert drills.left() == []


def test_a_load_that_fails(drills: Drills) -> None:
    """A client that ends badly fails the drill; nothing is left."""
    drills.put_first("mariadb", 'case "$*" in *--binary-mode*) exit 1 ;; esac\nexec {real} "$@"')
    drills.call(f"{AGAMA}@latest").failed(1, "did not come back", "verify")
    assert drills.left() == []


def test_a_server_that_does_not_start(drills: Drills) -> None:
    """A server that ends at once is told, with what it said."""
    drills.put_first(
        "mariadbd", 'case "$*" in *--socket*) echo out of everything >&2; exit 7 ;; esac\nexec {real} "$@"'
    )
    drills.call(f"{AGAMA}@latest").failed(1, "out of everything", "AppArmor")
    assert drills.left() == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_nothing_is_left_after_a_stop(drills: Drills, number: signal.Signals) -> None:
    """Ctrl-C and TERM in mid-load end the servers, remove their data, and are in the ledger."""
    before = drills.agent.tree()
    process = hang(drills).start(f"{AGAMA}@latest")
    wait_until(lambda: any("--socket" in line for line in drills.processes().values()), 60, "a server runs")
    wait_until(lambda: _loads(process), 60, "it loads")
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 128 + number, said
    assert drills.left() == []
    assert drills.agent.tree() == before
    assert drills.evidence()["exit_code"] == 128 + number


def test_no_data_are_left_after_a_kill(drills: Drills) -> None:
    """KILL leaves no server and no data; the next drill removes the empty rest."""
    process = hang(drills).start(f"{AGAMA}@latest")
    wait_until(lambda: _loads(process), 60, "it loads")
    process.kill()
    process.communicate()
    wait_until(lambda: not drills.processes() and not list(drills.place.glob("*/data/*")), 30, "all is gone")
    drills.bin.joinpath("mariadb").unlink()
    drills.call(f"{AGAMA}@latest").succeeded()
    assert drills.left() == []


def _loads(process: "Popen[bytes]") -> bool:
    """Whether the client that stays has been started."""
    return any(b"sleep" in _command_line(pid) for pid in descendants(process.pid))


def _command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
