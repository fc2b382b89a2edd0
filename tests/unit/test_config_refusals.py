"""hosts.toml that is wrong: refused with the file, the table, the key, what was found and what to write."""

import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pullagent.config import load
from pullagent.errors import ConfigError
from pullagent.sources import KINDS
from tests.unit.sealing import RECIPIENT, SECRET, SSH_IDENTITY_FILE
from tests.unit.toml import RIGHT, changed, document, loaded

HOST = "hosts pavroto-2"
MYSQL, INFLUX = f"{HOST} sources agama", f"{HOST} sources logs"


def refusal(directory: Path, value: dict[str, Any] | str | bytes) -> ConfigError:
    """The error that a document gets; it names the file, and ends the program with 2."""
    with pytest.raises(ConfigError) as caught:
        loaded(directory, value).recipients()
    assert str(directory / "hosts.toml") in caught.value.message
    assert caught.value.exit_code == 2
    return caught.value


@pytest.mark.parametrize(
    ("place", "nearest"),
    [
        ("sotre", "store"),
        ("retentions", "retention"),
        ("host", "hosts"),
        ("store paht", "path"),
        ("encryption recipient", "recipients"),
        ("retention day", "days"),
        ("ssh stall", "stall_s"),
        ("compression levle", "level"),
        ("objectives rpo_hour", "rpo_hours"),
        (f"{HOST} adress", "address"),
        (f"{HOST} source", "sources"),
        (f"{MYSQL} database", "databases"),
        (f"{MYSQL} optionfile", "option_file"),
        (f"{INFLUX} config_file", "config_files"),
        (f"{INFLUX} knid", "kind"),
    ],
)
def test_an_unknown_key_gets_the_nearest_name(tmp_path: Path, place: str, nearest: str) -> None:
    """A typing error in a key is refused at every level, never ignored."""
    error = refusal(tmp_path, changed(place, 1))
    assert repr(place.split()[-1]) in error.message
    assert error.hint == f"did you mean {nearest}?"


def test_an_unknown_key_without_a_near_one_gets_them_all(tmp_path: Path) -> None:
    """Where nothing is near, the hint lists what may stand there."""
    assert "path" in refusal(tmp_path, changed("store qqqq", 1)).hint


WRONG = [
    ("store path", 5),
    ("store path", ""),
    ("store path", "a\0b"),
    ("encryption recipients", RECIPIENT),
    ("encryption recipients", [5]),
    ("encryption recipients", ["age2x"]),
    ("encryption recipients", ["age1x\nage1y"]),
    ("encryption recipients_file", ["x"]),
    ("compression level", 0),
    ("compression level", 10),
    ("compression level", "3"),
    ("compression level", 3.0),
    ("compression level", True),
    ("retention days", 0),
    ("retention days", -1),
    ("retention days", "14"),
    ("retention days", True),
    ("retention days", 10**7),
    ("retention keep_at_least", 0),
    ("retention keep_at_least", False),
    ("objectives rpo_hours", 0),
    ("objectives rpo_hours", "24"),
    ("objectives rpo_hours", True),
    ("objectives rpo_hours", float("inf")),
    ("objectives rto_minutes", float("nan")),
    ("ssh stall_s", -5),
    ("ssh stall_s", "300"),
    ("ssh connect_timeout_s", float("inf")),
    ("ssh known_hosts", ""),
    (f"{HOST} port", "22"),
    (f"{HOST} port", 22.0),
    (f"{HOST} port", True),
    (f"{HOST} port", 0),
    (f"{HOST} port", 65536),
    (f"{HOST} user", ""),
    (f"{HOST} user", "-oProxyCommand=x"),
    (f"{HOST} user", "root\n"),
    (f"{HOST} user", "a b"),
    (f"{HOST} user", 0),
    (f"{HOST} address", 5),
    (f"{HOST} address", "pavroto-2\nevil"),
    (f"{HOST} address", "root@pavroto-2"),
    (f"{HOST} address", "pavroto 2"),
    (f"{HOST} gateway", ""),
    (f"{HOST} gateway", "a b"),
    (f"{HOST} gateway", "jump:99999"),
    (f"{HOST} gateway", "jump:0"),
    (f"{HOST} gateway", "-x"),
    (f"{HOST} gateway", 5),
    (f"{HOST} identity_file", ""),
    (f"{MYSQL} databases", []),
    (f"{MYSQL} databases", "agama"),
    (f"{MYSQL} databases", [5]),
    (f"{MYSQL} databases", [""]),
    (f"{MYSQL} databases", ["MySQL"]),
    (f"{MYSQL} databases", ["information_schema"]),
    (f"{MYSQL} databases", ["a`b"]),
    (f"{MYSQL} databases", ["a'b"]),
    (f"{MYSQL} databases", ["a/b"]),
    (f"{MYSQL} databases", ["a\nb"]),
    (f"{MYSQL} databases", ["--all-databases"]),
    (f"{MYSQL} databases", ["agama", "agama"]),
    (f"{MYSQL} socket", "relative.sock"),
    (f"{MYSQL} option_file", "/x\ny"),
    (f"{MYSQL} accounts", "yes"),
    (f"{MYSQL} accounts", 1),
    (f"{INFLUX} databases", ["_internal"]),
    (f"{INFLUX} databases", ["a'b"]),
    (f"{INFLUX} databases", ["../x"]),
    (f"{INFLUX} databases", ["-x"]),
    (f"{INFLUX} databases", ["logs", "logs"]),
    (f"{INFLUX} config_files", ["etc/x"]),
    (f"{INFLUX} config_files", ["/etc/../x"]),
    (f"{INFLUX} config_files", "/etc/x"),
    (f"{INFLUX} api", "localhost"),
    (f"{INFLUX} api", "local host:80"),
    (f"{INFLUX} backup", "x:99999"),
    (f"{INFLUX} staging", "tmp"),
    (f"{MYSQL} kind", "postgres"),
    (f"{MYSQL} kind", 5),
    (f"{MYSQL} kind", ["mysql"]),
    (f"{MYSQL} kind", {"mysql": 1}),
    (f"{MYSQL} kind", None),
    (f"{MYSQL} databases", None),
    (f"{HOST} user", None),
    ("store path", None),
    ("store", None),
    ("store", 5),
    ("store", []),
    ("retention", "14 days"),
    ("hosts", None),
    ("hosts", {}),
    ("hosts", 5),
    ("hosts", [{"user": "x"}]),
    (HOST, "pavroto-2"),
    (f"{HOST} sources", ["agama"]),
    (MYSQL, "agama"),
]


@pytest.mark.parametrize(("place", "value"), WRONG, ids=lambda part: str(part)[:40])
def test_a_wrong_value_is_refused(tmp_path: Path, place: str, value: Any) -> None:
    """The message names the table and the key; there is always a word on what to write."""
    error = refusal(tmp_path, changed(place, value))
    *tables, key = place.split()
    if tables:
        assert f"[{'.'.join(tables)}" in error.message
    assert key in error.message
    assert error.hint or "write" in error.message or "found" in error.message or "not a path" in error.message


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", ".hidden", "-rf", "a/b", "a\\b", "a b", "a\nb", "a\0b", "a\x1b[2J", "ü", "a@b", "x" * 65, "٢"],
)
@pytest.mark.parametrize("level", ["host", "source"])
def test_an_unsafe_name_is_refused(tmp_path: Path, level: str, name: str) -> None:
    """A name becomes a directory and a part of references: nothing that could lead elsewhere or steer a terminal."""
    host = RIGHT["hosts"]["pavroto-2"]
    hosts = {name: host} if level == "host" else {"h": {"user": "u", "sources": {name: host["sources"]["agama"]}}}
    error = refusal(tmp_path, changed("hosts", hosts))
    assert "cannot be a name" in error.message
    assert "\n" not in error.message
    assert "\x1b" not in error.message


@pytest.mark.parametrize("name", ["hosts.toml", "known_hosts", "ledger.jsonl"])
def test_a_host_cannot_have_the_name_of_a_file_of_the_store(tmp_path: Path, name: str) -> None:
    """The store keeps files of these names where the hosts' directories lie."""
    error = refusal(tmp_path, changed("hosts", {name: RIGHT["hosts"]["pavroto-2"]}))
    assert name in error.message


def test_without_any_source_there_is_nothing_to_back_up(tmp_path: Path) -> None:
    """A run that pulls nothing would end with 0 every night."""
    error = refusal(tmp_path, changed("hosts", {"pavroto-2": {"user": "u"}}))
    assert "source" in error.message


def test_a_host_cannot_be_its_own_gateway(tmp_path: Path) -> None:
    """A slip of copying: it would log in to itself, and then once more."""
    error = refusal(tmp_path, changed(f"{HOST} gateway", "pavroto-2"))
    assert "gateway" in error.message


@pytest.mark.parametrize("twin", [{"address": "pavroto-2"}, {"address": "pavroto-2", "user": "another"}])
def test_a_source_that_stands_there_twice_is_refused(tmp_path: Path, twin: dict[str, str]) -> None:
    """The same databases of the same server under two names would be pulled twice."""
    source = {"kind": "mysql", "databases": ["agama"]}
    value = changed("hosts other", {"user": "x", "sources": {"copy": source}} | twin)
    error = refusal(tmp_path, value)
    assert "other/copy" in error.message
    assert "pavroto-2/agama" in error.message
    value["hosts"]["other"]["port"] = 2222
    assert loaded(tmp_path, value).hosts["other"].port == 2222


SPELLINGS = [
    SECRET,
    SECRET.lower(),
    SECRET.title(),
    f"  {SECRET}",
    f"{RECIPIENT} {SECRET}",
    f"age1{SECRET}",
    f"# comment {SECRET}",
    f'"{SECRET}"',
    SECRET.replace("KEY-1", "KEY-PQ-1"),
    SSH_IDENTITY_FILE.read_text(),
    SSH_IDENTITY_FILE.read_text().replace("OPENSSH", "RSA"),
    SSH_IDENTITY_FILE.read_text().lower(),
]


@pytest.mark.parametrize("secret", SPELLINGS, ids=range(len(SPELLINGS)))
@pytest.mark.parametrize("place", ["recipients", "string", "file", "table", "elsewhere"])
def test_a_secret_key_is_refused_and_never_repeated(tmp_path: Path, place: str, secret: str) -> None:
    """An age or SSH secret where a recipient belongs is in no message, hint or chained error, wherever it stands."""
    (tmp_path / "keys").write_text(f"{RECIPIENT}\n{secret}\n")
    value = {
        "recipients": changed("encryption recipients", [RECIPIENT, secret]),
        "string": changed("encryption recipients", secret),
        "file": changed("encryption", {"recipients_file": "keys"}),
        "table": changed("encryption", secret),
        "elsewhere": changed("store", [secret]),
    }[place]
    if place == "file" and secret.startswith("#"):
        return
    said = everything(refusal(tmp_path, value)).lower()
    for word in secret.lower().split():
        part = word.strip('"').removeprefix("age1")
        if len(part) > 30 and word != RECIPIENT:
            assert part[18:48] not in said


def everything(error: BaseException | None) -> str:
    """What an error and all behind it say, as a traceback would show them."""
    said = []
    while error is not None:
        said.append(f"{error!s} {error!r} {getattr(error, 'hint', '')}")
        error = error.__cause__ or error.__context__
    return "\n".join(said)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "no recipient"),
        (b"# only a comment\n\n", "no recipient"),
        (b"\xff\xfe", "decode"),
        (b"age2x\n", "line 1"),
        (f"{RECIPIENT}\nnonsense\n".encode(), "line 2"),
        (None, "No such file"),
    ],
)
def test_a_wrong_file_of_recipients_is_refused(tmp_path: Path, text: bytes | None, message: str) -> None:
    """The file's name, and the line's number."""
    if text is not None:
        (tmp_path / "keys").write_bytes(text)
    error = refusal(tmp_path, changed("encryption", {"recipients_file": "keys"}))
    assert "keys" in error.message
    assert message in error.message


@pytest.mark.parametrize("value", [{}, {"recipients": []}])
def test_without_recipients_nothing_can_be_encrypted(tmp_path: Path, value: dict[str, Any]) -> None:
    """No recipients, or an empty list of them."""
    assert "no recipients" in refusal(tmp_path, changed("encryption", value)).message


@pytest.mark.parametrize(
    "text",
    [b"[store", b"\xff", b"a = 1\na = 2\n", b"a = " + b"[" * 50_000, document(RIGHT).encode()[:-3], b"\0", b"= 1"],
    ids=["syntax", "not UTF-8", "twice", "deep", "cut short", "NUL", "no key"],
)
def test_what_is_not_toml_is_refused(tmp_path: Path, text: bytes) -> None:
    """Not TOML, not UTF-8, a key that comes twice, or nesting without end."""
    assert "not TOML" in refusal(tmp_path, text).message


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    """Nothing at all is TOML, but no configuration."""
    assert refusal(tmp_path, b"").hint


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """Neither a missing file nor a directory is a configuration."""
    for path in (tmp_path / "absent", tmp_path):
        with pytest.raises(ConfigError, match=str(path)) as caught:
            load(path, KINDS)
        assert "--config" in caught.value.hint


_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
_LEAF = st.one_of(
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.floats(),
    _TEXT,
    st.sampled_from(["age1x", RECIPIENT, "mysql", "influxdb", "/x", "a:1", "pavroto-2"]),
)
_KEYS = st.sampled_from(
    re.findall(
        r"\w+",
        "store path encryption recipients recipients_file retention days hosts user address port gateway "
        "sources kind databases accounts socket api backup staging config_files compression level ssh stall_s",
    )
)
_VALUE = st.recursive(
    _LEAF, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS | _TEXT, inner, max_size=4)
)
_PLACES = sorted({place for place, _ in WRONG})


@given(place=st.sampled_from(_PLACES), value=_VALUE)
@example(place="objectives rpo_hours", value=10**400)
@settings(max_examples=120)
def test_any_value_is_judged(tmp_path: Path, place: str, value: Any) -> None:
    """Whatever stands at one place of a right document, it loads or is refused; nothing else is raised."""
    with suppress(ConfigError):
        loaded(tmp_path, changed(place, value))


@given(value=st.dictionaries(_KEYS | _TEXT, _VALUE, max_size=5))
@settings(max_examples=40)
def test_any_document_is_judged(tmp_path: Path, value: dict[str, Any]) -> None:
    """So is any document at all."""
    with suppress(ConfigError):
        loaded(tmp_path, value)


@given(data=st.binary(max_size=200))
@settings(max_examples=40)
def test_any_bytes_are_judged(tmp_path: Path, data: bytes) -> None:
    """And any file."""
    with pytest.raises(ConfigError):
        loaded(tmp_path, data)
