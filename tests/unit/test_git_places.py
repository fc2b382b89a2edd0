"""Where a repository may lie, which refs a mirror takes, and what it must keep: decisions without any git."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pullagent.errors import ContentError
from pullagent.model import Address
from pullagent.sources.git import refs
from pullagent.sources.git.packets import Packets
from pullagent.sources.git.refs import Heads, Mine
from pullagent.sources.git.url import parse, upload_pack

A, B = "a" * 40, "b" * 40


@pytest.mark.parametrize(
    ("url", "path", "address"),
    [
        ("/srv/git/ansible.git", "/srv/git/ansible.git", None),
        ("/srv/git/with blanks", "/srv/git/with blanks", None),
        ("ssh://git@forge:2222/ops/ansible.git", "/ops/ansible.git", Address("forge", 2222, "git")),
        ("ssh://forge/~ops/ansible.git", "~ops/ansible.git", Address("forge")),
        ("git@forge:ops/ansible.git", "ops/ansible.git", Address("forge", None, "git")),
    ],
)
def test_what_goes_over_the_pinned_connection(url: str, path: str, address: Address | None) -> None:
    """A path is on the host itself; every form that git takes for SSH names another server, by the same rules."""
    assert (parse(url).path, parse(url).address) == (path, address)


@pytest.mark.parametrize("url", ["https://forge/ops/ansible.git", "git://forge/a.git", "file:///srv/a.git"])
def test_what_git_follows_by_itself(url: str) -> None:
    """Such a source has no command, and nobody logs in to its host."""
    assert parse(url).path is None
    assert parse(url).scheme == url.partition(":")[0]


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ansible",
        "./ansible.git",
        "--upload-pack=touch /tmp/x",
        "-oProxyCommand=x:y",
        "ext::sh -c 'touch /tmp/x'",
        "fd::3",
        "ssh://-oProxyCommand=x/path",
        "-x@host:path",
        "host:-path",
        "/srv/../etc",
        "/",
        "ftp://host/a.git",
        "https:///a.git",
        "https://host",
        "file://host/a.git",
        "https://host/a\nb",
        "ssh://host/a.git?x=y",
    ],
)
def test_what_is_refused(url: str) -> None:
    """Options in disguise, transports that run programs, and what is no repository's address."""
    with pytest.raises(ValueError, match=r"write|begins with|an option"):
        parse(url)


@pytest.mark.parametrize("url", ["https://ops:geheim@host/a.git", "https://geheim@host/a.git", "ssh://a:geheim@host/b"])
def test_a_password_is_refused_and_never_repeated(url: str) -> None:
    """A token in place of a user name is one too."""
    with pytest.raises(ValueError, match="not shown") as caught:
        parse(url)
    assert "geheim" not in str(caught.value)


def test_a_path_is_quoted_as_git_quotes_it() -> None:
    """A git-shell takes exactly this form."""
    assert upload_pack("/srv/it's!") == "git-upload-pack '/srv/it'\\''s'\\!''"


@pytest.mark.parametrize(
    "name",
    [
        "HEAD",
        "main",
        "refs/heads/",
        "refs/heads/.a",
        "refs/heads/a b",
        "refs/heads/a..b",
        "refs/heads/a.lock",
        "refs/heads/a/.b",
        "refs/heads/a//b",
        "refs/heads/a:b",
        "refs/heads/a@{b",
        "refs/heads/a\n",
        "refs/heads/" + "x" * 250,
    ],
)
def test_a_ref_that_no_mirror_can_hold(name: str) -> None:
    """It is left out and told, and keeps the others from nothing."""
    assert not refs.is_ref(name)
    found = refs.heads_of(f"{A}\t{name}\n{B}\trefs/heads/main\n".encode()) if "\n" not in name else None
    assert found is None or found.refs == {"refs/heads/main": B}


def test_what_a_repository_shows() -> None:
    """Peeled tags are no refs, HEAD is a branch's name, and a mirror's own refs are not mirrored."""
    answer = (
        f"ref: refs/heads/main\tHEAD\n{A}\tHEAD\n{A}\trefs/heads/main\n{B}\trefs/tags/v1\n{A}\trefs/tags/v1^{{}}\n"
        f"{B}\trefs/pullagent/2026-11-23T010003Z/refs/heads/x\n"
    )
    assert refs.heads_of(answer.encode()) == Heads({"refs/heads/main": A, "refs/tags/v1": B}, "refs/heads/main")


@pytest.mark.parametrize("answer", [b"Welcome!\n", b"zzz\trefs/heads/main\n", b"\0\0\t\n"])
def test_an_answer_that_is_none(answer: bytes) -> None:
    """What does not begin with an object's name is no list of refs."""
    with pytest.raises(ContentError):
        refs.heads_of(answer)


names = st.sampled_from([f"refs/heads/{n}" for n in "abcdef"])
values = st.sampled_from([A, B])


@given(st.dictionaries(names, values), st.dictionaries(names, values))
def test_a_difference_leads_to_what_upstream_shows(mine: dict[str, str], theirs: dict[str, str]) -> None:
    """Taking what is wanted and dropping what is gone gives upstream's refs; every value that goes is named."""
    found = refs.compare(Mine(mine, head=next(iter(theirs), None)), Heads(theirs))
    after = {name: oid for name, oid in mine.items() if name not in found.gone}
    after |= {name: theirs[name] for name in found.wanted}
    assert after == theirs
    lost = {name: oid for name, oid in mine.items() if theirs.get(name) != oid}
    assert {**found.changing, **found.gone} == lost
    assert bool(found) == (mine != theirs)


def test_head_stands_for_a_branch_where_there_is_one() -> None:
    """Upstream's wherever that is known; the one before as long as it is there; then a usual one."""
    a, main, x = "refs/heads/a", "refs/heads/main", "refs/heads/x"
    both = {a: A, main: A}
    assert refs.compare(Mine(both, head=main), Heads(both, a)).head == a
    assert refs.compare(Mine(both, head=a), Heads(both)).head is None
    assert refs.compare(Mine(both, head=x), Heads(both)).head == main
    assert refs.compare(Mine(both, head=main), Heads({"refs/tags/v1": A, a: A})).head == a
    assert refs.compare(Mine({}, head=main), Heads({"refs/tags/v1": A})).head is None


def test_what_is_kept_goes_by_its_own_time_alone() -> None:
    """Refs kept before the limit are named; a name that holds no time never is."""
    old = refs.kept_name("2026-11-01T010003Z", "refs/heads/old")
    new = refs.kept_name("2026-11-20T010003Z", "refs/heads/new")
    odd = f"{refs.OWN}other/refs/heads/x"
    assert refs.expired([old, new, odd], datetime(2026, 11, 10, tzinfo=UTC)) == [old]


@given(st.lists(st.integers(1, 40), min_size=1), st.integers(0, 3), st.integers(0, 3))
def test_what_is_beside_the_pack_is_counted(cuts: list[int], refs_count: int, packs: int) -> None:
    """However the stream is cut; a pack's data, in its band, may be of any size."""
    listed = b"".join(b"%04x" % (4 + 60) + b"a" * 60 for _ in range(refs_count)) + b"0000" + b"0008NAK\n"
    packed = b"".join(b"%04x" % (5 + 100) + b"\1" + b"p" * 100 for _ in range(packs)) + b"0000"
    stream, packets = listed + packed, Packets()
    while stream:
        for cut in cuts:
            packets.feed(stream[:cut])
            stream = stream[cut:]
    assert packets.listed == len(listed) + 4
