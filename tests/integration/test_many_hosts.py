"""Twenty hosts at once, nine of which fail, each in its way: the others are stored, in time, and all of it is told."""

import threading
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from pullagent import config as configs
from pullagent.pull import Puller
from pullagent.sources import KINDS
from tests.integration.agent import Agent
from tests.integration.twenty import NIGHT, twenty
from tests.lab.outside import MailServer
from tests.lab.processes import wait_until
from tests.lab.production import ProductionHost

JOBS = 4
CONNECT_S = 2.0
# what a busy machine may add to a limit
SPARE_S = 4.0
WHY = {
    "dead": "refused the connection",
    "mute": "did not answer as an SSH server in time",
    "deaf": "no answer from",
    "rebuilt": "the host key has changed",
    "unpinned": "is not pinned",
    "denied": "was denied",
}
WHAT_TO_DO = {
    "dead": "is sshd running there?",
    "mute": "is it sshd that answers there?",
    "deaf": "is the host up?",
    "rebuilt": "pullagent trust rebuilt-1 --replace",
    "unpinned": "pullagent trust unpinned-1",
    "denied": "authorized_keys on denied-1?",
}


def of(kind: str) -> list[str]:
    """The sources of all hosts of a kind."""
    return [f"{kind}-{number}/agama" for number in range(1, NIGHT[kind] + 1)]


STORED = {name for kind in ("fine", "slow") for name in of(kind)}
FAILED = {name: kind for kind in WHY for name in of(kind)}


@pytest.fixture(scope="module")
def night(host: ProductionHost, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Agent]:
    """A backup server with the twenty in its hosts.toml."""
    directory = tmp_path_factory.mktemp("night")
    agent = Agent(directory / "backup", host)
    with twenty(agent, directory / "hosts", CONNECT_S):
        yield agent


def test_the_others_are_stored_and_each_failure_is_told(night: Agent) -> None:
    """Exit code 3, a line in the ledger for each, one message, and one table at the end with every failure's cause."""
    with MailServer() as mail:
        night.edit("[ssh]\n", f'[notify]\nmessage_urls = ["{mail.url}"]\n\n[ssh]\n')
        done = night.call("run", "--jobs", str(JOBS))
        subjects = [str(m["Subject"]).partition(": ")[2] for m in mail.mails]
        (text,) = mail.texts()
    assert done.code == 3, done
    assert {ref.partition("@")[0] for ref in night.refs()} == STORED
    assert subjects == ["9 of 20 sources failed"]
    assert all(f"{name} failed with exit code" in text for name in FAILED)
    *pulls, run = [line for line in night.ledger() if line["event"] in ("pull", "run")]
    expected = dict.fromkeys(STORED, True) | dict.fromkeys(FAILED, False)
    assert {f"{p['host']}/{p['source']}": p["ok"] for p in pulls} == expected
    assert (run["exit_code"], run["detail"]["stored"], run["detail"]["sources"]) == (3, 11, 20)
    table = done.out[done.out.index("Failed ") :].splitlines()
    assert table[-1].startswith("9 of 20 sources failed")
    told = {line.split()[0]: line for line in table[1:-1]}
    assert told.keys() == FAILED.keys()
    for name, kind in FAILED.items():
        assert WHY[kind] in told[name]
        assert f"error: {name}: " in done.err
        assert WHAT_TO_DO[kind] in done.err
    # list scheduling: no order of starting takes longer than this (Graham, 1966); the ledger's times are whole seconds
    took = [p["took_s"] for p in pulls]
    bound = sum(took) / JOBS + max(took) * (1 - 1 / JOBS)
    ends = [datetime.fromisoformat(p["time"]).timestamp() for p in pulls]
    whole = max(ends) - min(end - seconds for end, seconds in zip(ends, took, strict=True))
    print(f"all pulls took {whole:.1f} s; a {JOBS}th of their sum is {sum(took) / JOBS:.1f} s, the bound {bound:.1f} s")
    assert whole <= bound + 2
    for pull in pulls:
        if not pull["ok"]:
            assert pull["took_s"] <= CONNECT_S + SPARE_S, pull


def test_no_thread_and_no_connection_is_left(night: Agent) -> None:
    """Whichever way a host fails: what was opened for it is closed, and what waited for it has ended."""
    config = configs.load(night.config_file, KINDS)
    names = [name for name in config.source_names() if str(name) in FAILED or name.host == "fine-1"]
    threads, sockets = set(threading.enumerate()), open_sockets()
    report = Puller(config).run(names, jobs=JOBS)
    assert sum(o.outcome == "stored" for o in report.outcomes) == 1
    wait_until(lambda: set(threading.enumerate()) <= threads, 5, "the threads of the pulls end")
    assert open_sockets() == sockets


def open_sockets() -> set[str]:
    """The sockets that this process holds."""
    links = map(_target, Path("/proc/self/fd").iterdir())
    return {link for link in links if link.startswith("socket:")}


def _target(descriptor: Path) -> str:
    try:
        return str(descriptor.readlink())
    except FileNotFoundError:
        return ""


def test_a_page_that_can_be_read_at_night(night: Agent) -> None:
    """On a terminal of 80 columns: what was stored, then each cause and what to do, and at the end all that failed."""
    done = night.type("run", "--jobs", str(JOBS), "dead-1", "denied-1", "unpinned-1", "fine-1", answers=[])
    assert done.code == 3, done
    screen = done.screen[done.screen.index("Source ") :]
    stored, told, failed = (screen.index(part) for part in ("fine-1/agama@", "error: ", "Failed "))
    assert stored < told < failed
    assert max(map(len, screen[failed:].splitlines())) <= 80
    assert [name for name in (f"{h}/agama" for h in ("dead-1", "denied-1", "unpinned-1")) if name in screen[failed:]]
    assert screen.rstrip().endswith("3 of 4 sources failed; what to do about each stands above")
