"""The check of a git bundle's content, on bundles that git itself made, whole and damaged."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pullagent.checks.bundle import BundleCheck, refs_of
from pullagent.errors import ContentError
from tests.lab.repository import Repository


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A repository with branches, tags and a note."""
    made = Repository(tmp_path_factory.mktemp("git") / "ansible.git")
    made.decorate()
    return made


@pytest.fixture(scope="module")
def bundle(repository: Repository) -> bytes:
    """All of it."""
    file = repository.work / "all.bundle"
    repository.there("bundle", "create", "--quiet", file, "--all")
    return file.read_bytes()


def fed(data: bytes, size: int = 97, expected: dict[str, str] | None = None) -> BundleCheck:
    """The check after it has passed all of `data` in pieces."""
    check = BundleCheck(expected)
    for start in range(0, len(data), size):
        check.feed(data[start : start + size])
    check.finish()
    return check


@pytest.mark.parametrize("size", [1, 7, 97, 1 << 20])
def test_a_whole_bundle_passes(repository: Repository, bundle: bytes, size: int) -> None:
    """Whatever the pieces it comes in; its refs are those of the repository, and HEAD."""
    expected = repository.refs()
    expected["HEAD"] = expected["refs/heads/main"]
    assert fed(bundle, size, expected).refs == expected
    assert refs_of([bundle[:10], bundle[10:]]) == expected


def test_a_bundle_cut_anywhere_is_refused(bundle: bytes) -> None:
    """Also without its last byte alone."""
    for kept in range(len(bundle)):
        with pytest.raises(ContentError):
            fed(bundle[:kept], 1 << 20)


def test_a_changed_byte_in_the_pack_is_found(bundle: bytes) -> None:
    """Each one is under the hash."""
    start = bundle.index(b"\n\nPACK") + 2
    for place in range(start, len(bundle)):
        with pytest.raises(ContentError):
            fed(bundle[:place] + bytes([bundle[place] ^ 1]) + bundle[place + 1 :], 1 << 20)


def test_a_list_that_is_not_the_repositorys(repository: Repository, bundle: bytes) -> None:
    """One ref less, or another value, is told by its name."""
    expected = repository.refs() | {"HEAD": repository.refs()["refs/heads/main"]}
    for other in (expected | {"refs/heads/more": "a" * 40}, expected | {"refs/tags/v1": "a" * 40}):
        with pytest.raises(ContentError, match=r"refs/heads/more|refs/tags/v1"):
            fed(bundle, 1 << 20, other)


def test_a_bundle_that_needs_more_than_it_holds(repository: Repository) -> None:
    """One made from a commit on could be restored only where the rest is."""
    file = repository.work / "part.bundle"
    repository.there("bundle", "create", "--quiet", file, "main~1..main")
    with pytest.raises(ContentError, match="needs objects that it does not hold"):
        fed(file.read_bytes())


@settings(max_examples=60)
@given(st.binary(max_size=200))
def test_any_bytes_end_in_an_error_that_says_so(data: bytes) -> None:
    """Alone, or after the first line of a bundle."""
    for text in (data, b"# v2 git bundle\n" + data):
        with pytest.raises(ContentError):
            fed(text)


def test_a_line_without_end_is_not_waited_for() -> None:
    """Memory stays bounded whatever a stream holds."""
    check = BundleCheck()
    with pytest.raises(ContentError, match="without end"):
        check.feed(b"x" * 100_000)
