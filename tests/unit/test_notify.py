"""Pings and messages against a real web server and a real mail server on loopback: told, bounded, and harmless."""

import json
import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pullagent import run as runs
from pullagent.cli import app
from pullagent.config import Config
from pullagent.errors import ConfigError, PullAgentError, SourceError, StoreError
from pullagent.ledger import Ledger
from pullagent.model import Observer, RunReport, SourceName
from pullagent.monitoring.notify import Notifier
from pullagent.sources.base import Remote
from pullagent.store import Store
from tests.lab.outside import MailServer, WebServer
from tests.lab.processes import wait_until
from tests.unit.storing import AGAMA, LOGS, put
from tests.unit.test_pull import Both
from tests.unit.toml import changed, loaded

REMOTE = SourceError("mysqldump: Couldn't execute 'SELECT salary FROM payroll'")


class Heard(Observer):
    """Keeps the warnings."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warned(self, text: str) -> None:
        """Keep it."""
        self.warnings.append(text)


@pytest.fixture
def web() -> Iterator[WebServer]:
    """What is pinged."""
    with WebServer() as server:
        yield server


@pytest.fixture
def mail() -> Iterator[MailServer]:
    """Where messages go."""
    with MailServer() as server:
        yield server


def config_with(directory: Path, **notify: Any) -> Config:
    """Both sources, a store of its own, and [notify]."""
    return loaded(directory, changed("store path", "store") | {"notify": notify})


def run(
    config: Config,
    failing: PullAgentError | None = None,
    names: list[SourceName] | None = None,
    observer: Observer | None = None,
) -> RunReport:
    """A run against hosts that answer as recorded; with `failing`, the second connection ends so."""
    failures = iter([None, failing])

    def connect(_: Any) -> AbstractContextManager[Remote]:
        error = next(failures, None)
        if error is not None:
            raise error
        return Both(config).opened()

    return runs.run(config, names or config.source_names(), jobs=1, connect=connect, observer=observer)


def test_a_good_run_pings_start_and_success(tmp_path: Path, web: WebServer) -> None:
    """In that order, with a line for the log; a query stays behind the path."""
    report = run(config_with(tmp_path, ping_url=f"{web.url}?who=backup"))
    assert report.problems == ()
    assert web.heard == [
        ("/secret-7f3a/start?who=backup", ""),
        ("/secret-7f3a?who=backup", "2 of 2 stored, exit code 0"),
    ]


def test_a_failed_run_pings_failure_without_what_the_host_said(tmp_path: Path, web: WebServer) -> None:
    """The log names the source and the code alone."""
    assert run(config_with(tmp_path, ping_url=web.url), REMOTE).exit_code == 3
    assert web.paths == ["/secret-7f3a/start", "/secret-7f3a/fail"]
    assert web.heard[1][1] == "1 of 2 stored, exit code 3; failed: pavroto-2/logs"


def test_a_run_that_cannot_begin_pings_failure(tmp_path: Path, web: WebServer) -> None:
    """A store that cannot be written ends the run before any pull: that is told, and the error stays the same."""
    config = config_with(tmp_path, ping_url=web.url)
    config.store.write_text("a file stands in the way")
    with pytest.raises(StoreError):
        run(config)
    assert web.paths == ["/secret-7f3a/start", "/secret-7f3a/fail"]
    assert web.heard[1][1] == "nothing was pulled, exit code 1\n"


def test_a_run_of_one_source_does_not_pass_for_the_nights(tmp_path: Path, web: WebServer) -> None:
    """An operator's pull of one source must not quiet the alarm about the others."""
    run(config_with(tmp_path, ping_url=web.url), names=[AGAMA])
    assert web.heard == []


@pytest.mark.parametrize("hanging", ["silent", "dripping"])
def test_a_server_that_hangs_costs_seconds_and_no_more(tmp_path: Path, web: WebServer, hanging: str) -> None:
    """Whether it says nothing or a byte now and then; the run is as good as it was, and says what was not delivered."""
    heard = Heard()
    with socket.create_server(("127.0.0.1", 0)) as mute:
        web.delay_s = 60
        url = web.url if hanging == "dripping" else f"http://127.0.0.1:{mute.getsockname()[1]}/secret-7f3a"
        begun = time.monotonic()
        report = run(config_with(tmp_path, ping_url=url, timeout_s=1.5), observer=heard)
    assert time.monotonic() - begun < 15
    assert report.exit_code == 0
    assert report.problems == tuple(heard.warnings)
    assert [problem.partition(":")[0] for problem in report.problems] == [
        "the start ping was not delivered",
        "the success ping was not delivered",
    ]
    assert all("no answer" in problem for problem in report.problems)


def test_a_hanging_start_does_not_hold_up_the_pulls(tmp_path: Path, web: WebServer) -> None:
    """It is waited for at the end, not before the first byte is pulled."""
    web.delay_s = 60
    begun = time.monotonic()
    Notifier(config_with(tmp_path, ping_url=web.url)).ping("/start")
    assert time.monotonic() - begun < 1


def test_no_url_stands_where_other_users_can_read_it(tmp_path: Path, web: WebServer) -> None:
    """Neither in the arguments nor in the environment of the process that delivers."""
    web.delay_s = 60
    notifier = Notifier(config_with(tmp_path, ping_url=web.url, timeout_s=3))
    notifier.ping("/start")
    wait_until(lambda: bool(web.heard), 20, "the ping has arrived")
    (child,) = [d.process.pid for d in notifier._under_way]
    shown = Path(f"/proc/{child}/cmdline").read_bytes() + Path(f"/proc/{child}/environ").read_bytes()
    assert b"messenger" in shown
    assert b"7f3a" not in shown
    notifier.settle()


def test_a_server_that_answers_an_error_is_a_warning(tmp_path: Path, web: WebServer) -> None:
    """The code is named, the URL is not."""
    web.status = 500
    report = run(config_with(tmp_path, ping_url=web.url))
    assert report.problems == (
        "the start ping was not delivered: HTTP 500",
        "the success ping was not delivered: HTTP 500",
    )
    assert report.exit_code == 0


def test_nobody_listening_is_a_warning(tmp_path: Path) -> None:
    """A refused connection."""
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    problems = run(config_with(tmp_path, ping_url=f"http://127.0.0.1:{port}/secret-7f3a")).problems
    assert problems[0] == "the start ping was not delivered: Connection refused"


def test_failure_and_recovery_are_mailed(tmp_path: Path, mail: MailServer) -> None:
    """One mail for the failure, one for the first success after it, none for the second."""
    config = config_with(tmp_path, message_urls=[mail.url])
    assert run(config, REMOTE).problems == ()
    assert len(mail.mails) == 1
    assert mail.mails[0]["Subject"] == f"pullagent on {os.uname().nodename}: pavroto-2/logs failed"
    assert "pavroto-2/logs failed with exit code 1. NEVER: never backed up" in mail.texts()[0]
    assert "salary" not in mail.mails[0].as_string()
    run(config)
    assert len(mail.mails) == 2
    assert "pavroto-2/logs is backed up again: pavroto-2/logs@" in mail.texts()[1]
    run(config)
    assert len(mail.mails) == 2


def test_details_are_for_those_who_ask(tmp_path: Path, mail: MailServer) -> None:
    """With `details` the mail quotes the error; each address gets its own."""
    (tmp_path / "urls").write_text(f"# ours\n{mail.url}\n\n")
    config = config_with(tmp_path, message_urls=[mail.url], message_urls_file="urls", details=True)
    assert run(config, REMOTE).problems == ()
    assert ["SELECT salary FROM payroll" in text for text in mail.texts()] == [True, True]


def test_a_mail_server_that_is_away_is_a_warning(tmp_path: Path, mail: MailServer) -> None:
    """One address that does not work keeps nothing from the other."""
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    away = f"mailto://user:secret-7f3a@127.0.0.1:{port}?from=a@pavroto.ttu&to=b@pavroto.ttu&mode=insecure"
    report = run(config_with(tmp_path, message_urls=[away, mail.url, "nonsense://secret-7f3a"]), REMOTE)
    assert report.problems == (
        "the message 1 of 3 was not delivered: apprise could not deliver it",
        "the message 3 of 3 was not delivered: apprise knows no such URL",
    )
    assert len(mail.mails) == 1


def test_without_apprise_the_warning_says_what_to_install(
    tmp_path: Path, mail: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library is an extra."""
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden" / "apprise.py").write_text("raise ImportError")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "hidden"))
    report = run(config_with(tmp_path, message_urls=[mail.url]), REMOTE)
    assert report.problems == (
        f"the message was not delivered: the library apprise is not installed: {sys.executable} -m pip install apprise",
    )


def test_what_was_delivered_long_ago_is_no_problem(
    tmp_path: Path, web: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run asks for its start ping's end when it is over, hours later."""
    notifier, now = Notifier(config_with(tmp_path, ping_url=web.url)), time.monotonic
    notifier.ping("/start")
    wait_until(lambda: notifier._under_way[0].process.poll() is not None, 60, "the messenger has ended")
    with monkeypatch.context() as patch:
        patch.setattr("pullagent.monitoring.notify.time.monotonic", lambda: now() + 7200)
        assert notifier.settle() == []
    assert web.paths == ["/secret-7f3a/start"]


def test_a_busy_machine_costs_no_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit is for the other end: that a library takes longer to load than it may take to answer is no failure."""
    slow = "import time\ntime.sleep(2)\nclass Apprise:\n    def add(self, url): return True\n"
    slow += "    def notify(self, **_): return True\n"
    (tmp_path / "slow").mkdir()
    (tmp_path / "slow" / "apprise.py").write_text(slow)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "slow"))
    notifier = Notifier(config_with(tmp_path, message_urls=["mailto://a@pavroto.ttu"], timeout_s=1))
    notifier.message("title", "body")
    assert notifier.settle() == []


def test_a_messenger_that_does_not_start_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A library that hangs, on a dead network disk for instance."""
    (tmp_path / "stuck").mkdir()
    (tmp_path / "stuck" / "apprise.py").write_text("import time\ntime.sleep(300)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "stuck"))
    monkeypatch.setattr("pullagent.monitoring.notify._START_S", 1.0)
    notifier = Notifier(config_with(tmp_path, message_urls=["mailto://a@pavroto.ttu"], timeout_s=1))
    begun = time.monotonic()
    notifier.message("title", "body")
    assert notifier.settle() == ["the message was not delivered: no answer within 1 s"]
    assert time.monotonic() - begun < 20


def test_the_ping_url_may_lie_in_a_file(tmp_path: Path, web: WebServer) -> None:
    """So that hosts.toml, of which the store keeps a copy, holds no secret; a missing file fails no run."""
    (tmp_path / "ping").write_text(f"{web.url}\n")
    config = config_with(tmp_path, ping_url_file="ping")
    assert run(config).problems == ()
    assert web.paths == ["/secret-7f3a/start", "/secret-7f3a"]
    (tmp_path / "ping").write_text("ftp://example.org/secret-7f3a\n")
    assert run(config).problems == ("[notify] ping_url_file: not one http:// or https:// URL",)
    (tmp_path / "ping").write_text("http://[7f3a/\n")
    assert run(config).problems == ("[notify] ping_url_file: not one http:// or https:// URL",)
    (tmp_path / "ping").unlink()
    assert run(config).problems == ("[notify] ping_url_file: ping: No such file or directory",)
    assert len(web.heard) == 2


@pytest.mark.parametrize(
    "notify",
    [
        {"ping_url": "ftp://example.org/7f3a"},
        {"ping_url": "http://"},
        {"ping_url": "http://127.0.0.1:99999/7f3a"},
        {"ping_url": "http://127.0.0.1:x7f3a/"},
        {"ping_url": "http://[7f3a/"},
        {"ping_url": ["http://example.org/7f3a"]},
        {"message_urls": "mailto://user:7f3a@example.org"},
        {"message_urls": ["7f3a"]},
        {"message_urls": [73]},
    ],
)
def test_a_wrong_url_is_refused_and_not_shown(tmp_path: Path, notify: dict[str, Any]) -> None:
    """hosts.toml is checked before anything runs."""
    with pytest.raises(ConfigError, match="not shown") as caught:
        config_with(tmp_path, **notify)
    assert "7f3a" not in caught.value.message + caught.value.hint


def test_urls_do_not_show_in_what_the_configuration_prints(tmp_path: Path) -> None:
    """A traceback that shows the configuration shows no secret."""
    config = config_with(tmp_path, ping_url="http://example.org/7f3a", message_urls=["mailto://user:7f3a@example.org"])
    assert "7f3a" not in repr(config.notify)


def test_a_run_writes_the_textfile(tmp_path: Path) -> None:
    """After the pulls; one that cannot be written is a warning."""
    value = changed("store path", "store") | {"monitoring": {"prometheus_file": "pullagent.prom"}}
    assert run(loaded(tmp_path, value)).problems == ()
    assert (
        'pullagent_verdict{host="pavroto-2",source="logs",verdict="OK"} 1' in (tmp_path / "pullagent.prom").read_text()
    )
    value["monitoring"]["prometheus_file"] = "missing/pullagent.prom"
    report = run(loaded(tmp_path, value))
    assert report.exit_code == 0
    assert len(report.problems) == 1
    assert report.problems[0].startswith("the textfile: ")


def test_overdue_sources_are_mailed_once_a_day(
    tmp_path: Path, mail: MailServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """`status --notify` as often as one likes; the exit code is the verdict's as ever."""
    config = config_with(tmp_path, message_urls=[mail.url])
    begun = datetime.now(UTC).replace(microsecond=0)
    put(Store(config.store), begun - timedelta(hours=3), AGAMA)
    put(Store(config.store), begun - timedelta(hours=33), LOGS)
    check = ["--config", str(config.path), "status", "--notify"]
    assert [app._run(check), app._run(check)] == [2, 2]
    assert [str(m["Subject"]).partition(": ")[2] for m in mail.mails] == ["pavroto-2/logs LATE"]
    line = list(Ledger(Store(config.store).ledger_path).entries())[-1]
    assert (line["event"], line["ok"], line["detail"]) == ("notify", True, {"told": {"pavroto-2/logs": "LATE"}})
    assert "warning" not in capsys.readouterr().err


def test_overdue_that_could_not_be_told_is_tried_again(
    tmp_path: Path, mail: MailServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """A warning, a line in the ledger, the same exit code; the next check tries once more."""
    config = config_with(tmp_path, message_urls=["nonsense://x"])
    put(Store(config.store), datetime.now(UTC).replace(microsecond=0) - timedelta(hours=33), LOGS)
    check = ["--config", str(config.path), "status", "--json", "--notify"]
    assert app._run(check) == 2
    said = capsys.readouterr()
    assert json.loads(said.out)["verdict"] == "NEVER"
    assert said.err == "warning: the message was not delivered: apprise knows no such URL\n"
    config_with(tmp_path, message_urls=[mail.url])
    assert app._run(check) == 2
    assert len(mail.mails) == 1


def test_where_nobody_is_named_nothing_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each hour of a timer would add a line to the ledger; who calls it hears that nobody else does."""
    config = config_with(tmp_path)
    Store(config.store).prepare()
    assert app._run(["--config", str(config.path), "status", "--json", "--notify"]) == 2
    assert capsys.readouterr().err == "warning: [notify] names nobody to send messages to\n"
    assert not Store(config.store).ledger_path.exists()


def test_a_ledger_that_cannot_be_written_does_not_hide_the_verdict(
    tmp_path: Path, mail: MailServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message went out; the exit code is the verdict's."""

    def full(*_: object, **__: object) -> None:
        raise StoreError("ledger.jsonl: No space left on device")

    config = config_with(tmp_path, message_urls=[mail.url])
    monkeypatch.setattr(Ledger, "append", full)
    assert app._run(["--config", str(config.path), "status", "--notify"]) == 2
    assert "warning: not written to the ledger" in capsys.readouterr().err
    assert len(mail.mails) == 1


def test_the_command_line_tells_what_was_not_delivered(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """On standard error, also beside JSON, and in the ledger; never the URL."""
    config = config_with(tmp_path, ping_url="http://127.0.0.1:9/7f3a")
    code = app._run(["--config", str(config.path), "run", "--json"])
    said = capsys.readouterr()
    assert code == json.loads(said.out)["exit_code"]
    assert "warning: the fail ping was not delivered: " in said.err
    line = list(Ledger(Store(config.store).ledger_path).entries())[-1]
    assert line["event"] == "run"
    assert len(line["detail"]["problems"]) == 2
    assert "7f3a" not in said.out + said.err + json.dumps(line)
