"""References, addresses, ids and the exit code of a run."""

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pullagent.errors import NoSuchSnapshot, Stopped, UsageError
from pullagent.model import (
    Address,
    Findings,
    NoCheck,
    Outcome,
    RefQuery,
    RunReport,
    Snapshot,
    SnapshotRef,
    SourceName,
    StopSignal,
    id_time,
    is_safe_name,
    is_snapshot_id,
    rfc3339,
    snapshot_id,
)
from tests.unit.cuts import safe_names

NAME = SourceName("pavroto-2", "agama")
WHEN = datetime(2026, 11, 23, 1, 0, 3, 999_999, UTC)
names = safe_names
zones = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
moments = st.builds(datetime.fromtimestamp, st.floats(0, 4e9), zones)


@given(moment=moments)
def test_an_id_is_its_time(moment: datetime) -> None:
    """The id of a moment in any zone stands for that second in UTC."""
    identifier = snapshot_id(moment)
    assert is_snapshot_id(identifier)
    assert id_time(identifier) == moment.replace(microsecond=0)
    assert id_time(identifier).tzinfo is UTC


@given(first=moments, second=moments)
def test_ids_sort_like_their_times(first: datetime, second: datetime) -> None:
    """The order of names is the order of times, across zones and clock changes."""
    a, b = snapshot_id(first), snapshot_id(second)
    assert (a < b) == (id_time(a) < id_time(b))


@pytest.mark.parametrize(
    "text",
    ["", "latest", "2026-11-23", "2026-11-23T010003", "2026-11-23T010003z", "2026-11-31T010003Z", "2026-11-23T240003Z",
     "2026-11-23T010060Z", "2026-11-23T010003Z\n", " 2026-11-23T010003Z", "٢٠٢٦-11-23T010003Z", "0000-01-01T000000Z"],
)  # fmt: skip
def test_what_is_no_time_is_no_id(text: str) -> None:
    """Only real UTC seconds in the one form, in ASCII digits."""
    assert not is_snapshot_id(text)


def test_times_are_rfc_3339() -> None:
    """In UTC with Z, to the second."""
    assert rfc3339(WHEN.astimezone(timezone(timedelta(hours=-8)))) == "2026-11-23T01:00:03Z"


@given(host=names, source=names, moment=moments)
def test_a_reference_is_read_as_it_is_written(host: str, source: str, moment: datetime) -> None:
    """What one screen shows can be copied into the next command."""
    ref = SnapshotRef(SourceName(host, source), snapshot_id(moment))
    query = RefQuery.parse(str(ref))
    assert (query.name, query.which) == (ref.name, ref.id)


@pytest.mark.parametrize("which", ["latest", "2026", "2026-11", "2026-11-23", "2026-11-23T01"])
def test_a_prefix_or_latest_is_a_reference(which: str) -> None:
    """An operator need not type all of it."""
    assert RefQuery.parse(f"pavroto-2/agama@{which}") == RefQuery(NAME, which)


@pytest.mark.parametrize(
    "text",
    ["", "@", "a@latest", "a/b", "a/b@", "a/b@Latest", "a/b@x", "a/b@202", "a/b@2026 ", "a/b@2026\n", "a/b@../x",
     "/b@2026", "a/@2026", "../x@2026", "a/.b@2026", "a/b/c@2026", "a/b@2026@2026", "a b/c@2026", "a/b@٢٠٢٦"],
)  # fmt: skip
def test_what_is_no_reference_is_refused(text: str) -> None:
    """With the forms that there are, and the exit code of a snapshot that is not there."""
    with pytest.raises(NoSuchSnapshot) as caught:
        RefQuery.parse(text)
    assert "latest" in caught.value.hint
    assert caught.value.exit_code == 10


@given(text=st.text(max_size=70))
def test_a_safe_name_stays_where_it_is(text: str) -> None:
    """A name that is called safe is one plain component of a path, in ASCII."""
    if is_safe_name(text):
        assert Path("/store", text).parent == Path("/store")
        assert Path("/store", text).resolve() == Path("/store", text)
        assert text.isascii()
        assert text[0] not in ".-"


hosts = st.one_of(
    names.map(lambda n: (n, n)),
    st.ip_addresses(v=4).map(lambda a: (str(a), str(a))),
    st.ip_addresses(v=6).map(lambda a: (str(a), f"[{a}]")),
)


@given(host=hosts, port=st.none() | st.integers(1, 65535), user=st.none() | names)
def test_an_address_is_read_as_it_is_written(host: tuple[str, str], port: int | None, user: str | None) -> None:
    """`[USER@]HOST[:PORT]`, an IPv6 host in brackets."""
    text = f"{user}@" * (user is not None) + host[1] + f":{port}" * (port is not None)
    assert Address.parse(text) == Address(host[0], port, user)


@given(host=st.ip_addresses(v=6), user=st.none() | names)
def test_an_ipv6_host_without_a_port_needs_no_brackets(host: object, user: str | None) -> None:
    """All of it is the host: its last group is not taken for a port."""
    assert Address.parse(f"{user}@" * (user is not None) + str(host)) == Address(str(host), None, user)


@pytest.mark.parametrize(
    "text",
    ["", "@host", "user@", "host:", "host:0", "host:65536", "host:x", "host:222222", "-host", "-u@host", "a b",
     "host\n", "host:22\n", "a@b@c", "[::1", "::1]", "[]", "[]:22", "host/path", "host:٢٢", "ssh://host",
     "$(id)", "ho'st"],
)  # fmt: skip
def test_what_is_no_address_is_refused(text: str) -> None:
    """Nothing that a program could take for an option, a path or another host."""
    with pytest.raises(UsageError, match="not an address"):
        Address.parse(text)


@given(text=st.text(max_size=30))
def test_any_text_is_judged(text: str) -> None:
    """Any text is an address or a usage error; what is accepted holds no blank, quote or slash."""
    try:
        address = Address.parse(text)
    except UsageError:
        return
    assert not set(" '\"/\\\n\t$;") & set(address.host + (address.user or ""))


def outcome(code: int, shrunk: bool = False) -> Outcome:
    """A stored source for 0, else a failed one."""
    return Outcome(NAME, "failed" if code else "stored", 1.0, exit_code=code, shrunk=shrunk)


@pytest.mark.parametrize(
    ("outcomes", "code"),
    [
        ([outcome(0), outcome(0)], 0),
        ([outcome(0), outcome(0, shrunk=True)], 5),
        ([outcome(0), outcome(1)], 3),
        ([outcome(0), outcome(11)], 3),
        ([outcome(0, shrunk=True), outcome(1)], 3),
        ([outcome(1), outcome(1)], 1),
        ([outcome(13), outcome(13)], 13),
        ([outcome(11)], 11),
        ([outcome(13), outcome(11)], 1),
        ([outcome(1), outcome(13)], 1),
    ],
)
def test_the_exit_code_of_a_run(outcomes: list[Outcome], code: int) -> None:
    """All stored 0, or 5 when one shrank; some failed 3; all failed: their common code, else 1."""
    assert RunReport("x", WHEN, WHEN, tuple(outcomes)).exit_code == code


def test_a_damaged_snapshot_has_no_sizes() -> None:
    """Without a manifest sizes and duration are unknown, and it still has its time."""
    snapshot = Snapshot(SnapshotRef(NAME, "2026-11-23T010003Z"), Path("/x"), "damaged", None)
    assert (snapshot.plain_bytes, snapshot.stored_bytes, snapshot.took_s) == (None, None, None)
    assert snapshot.taken == WHEN.replace(microsecond=0)


def test_a_warning_stands_once() -> None:
    """The same warning for many tables is one line."""
    findings = Findings()
    for text in ("a", "b", "a"):
        findings.warn(text)
    assert findings.warnings == ["a", "b"]


def test_the_absent_check_accepts_all() -> None:
    """Artifacts that the agent composed itself need no check."""
    check = NoCheck()
    check.feed(b"anything")
    check.finish()


def test_a_stop_is_heard() -> None:
    """Before it nothing happens; after it every check raises and every wait ends."""
    stop = StopSignal()
    stop.check()
    assert not stop.wait(0.01)
    stop.set()
    assert stop.wait(60)
    with pytest.raises(Stopped):
        stop.check()
