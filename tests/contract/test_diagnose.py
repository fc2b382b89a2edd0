"""What `doctor` learns of every source kind, against answers recorded from real servers."""

import pytest

from pullagent.diagnosis import Diagnosis
from pullagent.sources import KINDS
from tests.contract.kinds import EXAMPLES, build
from tests.contract.test_pull import Altered, each_recording
from tests.vectors import label
from tests.vectors.canned import CannedHost

RECORDED = [(kind, server) for kind in KINDS for server in EXAMPLES[kind].servers]


def asked(kind: str, server: str) -> CannedHost:
    """A host that was looked at."""
    source = build(kind, EXAMPLES[kind].least)
    host = CannedHost(source, server)
    list(source.diagnose(host, None))
    return host


QUESTIONS = [
    (kind, server, what) for kind, server in RECORDED for what in dict.fromkeys(map(label, asked(kind, server).sent))
]
each_question = pytest.mark.parametrize(("kind", "server", "what"), QUESTIONS, ids=lambda part: str(part))


def altered(kind: str, server: str, what: str, answer: bytes) -> list[Diagnosis]:
    """What is found where one question gets another answer."""
    source = build(kind, EXAMPLES[kind].least)
    return list(source.diagnose(Altered(source, server, what, answer), None))


@each_recording
def test_a_sound_server_is_sound(kind: str, server: str) -> None:
    """Several things were looked at, each with a name of its own and a detail; nothing is wrong with any."""
    source = build(kind, EXAMPLES[kind].least)
    found = list(source.diagnose(CannedHost(source, server), 1))
    assert len(found) >= 3
    assert {one.result for one in found} == {"ok"}
    assert len({one.name for one in found}) == len(found)
    assert all(one.detail and not one.hint for one in found)


@each_recording
def test_a_look_sends_only_declared_commands_and_no_dump(kind: str, server: str) -> None:
    """A gate lets it pass, and it costs the server nothing: neither a dump nor a count of points."""
    sent = asked(kind, server).sent
    assert set(sent) <= set(build(kind, EXAMPLES[kind].least).commands())
    assert {label(command) for command in sent}.isdisjoint(
        {"dump", "backup", "archive", "accounts", "shards-and-point-counts"}
    )


@pytest.mark.parametrize("answer", [b"", b"Welcome!\n", b"\0\xff\n", b"a\tb\n", b"{}\n", b"[" * 50_000, b"null\n"])
@each_question
def test_a_senseless_answer_is_a_finding(kind: str, server: str, what: str, answer: bytes) -> None:
    """Whatever a host answers to one of the questions, that is told as failed, and no error escapes."""
    assert "failed" in {one.result for one in altered(kind, server, what, answer)}


@each_question
def test_a_banner_ahead_of_an_answer_is_a_finding(kind: str, server: str, what: str) -> None:
    """A login script that prints is found before the first night."""
    source = build(kind, EXAMPLES[kind].least)
    recorded = CannedHost(source, server).read(next(c for c in source.commands() if label(c) == what))
    found = altered(kind, server, what, b"Last login: today\n" + recorded)
    assert "login script" in " ".join(one.hint for one in found if one.result == "failed")


def test_no_room_for_a_backup_is_a_finding() -> None:
    """The staging directory must hold what the last backup took; near that is a warning."""
    source = build("influxdb", EXAMPLES["influxdb"].least)
    for free, result in ((99, "failed"), (150, "warn"), (200, "ok")):
        host = Altered(source, "influxdb-1.6", "free-space", b"%d 1\n" % free)
        (staging,) = (one for one in source.diagnose(host, 100) if one.name == "staging")
        assert staging.result == result
        assert ("staging" in staging.hint) == (result != "ok")
