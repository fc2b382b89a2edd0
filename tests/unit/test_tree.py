"""Archives of trees that would be unpacked elsewhere than below their directory are refused before anything is sent."""

import tarfile

import pytest

from pullagent.checks.tree import TreeCheck
from pullagent.errors import ContentError
from tests.unit.archives import gnu_tar, member

DIRECTORY = member("etc/", tarfile.DIRTYPE)
LINK = member("etc/a", tarfile.SYMTYPE, link="/")
ESCAPING = {
    "through a link": DIRECTORY + LINK + member("etc/a/passwd"),
    "far below a link": DIRECTORY + LINK + member("etc/a/b/c"),
    "a link in place of its directory": DIRECTORY + member("etc/a/", tarfile.DIRTYPE) + LINK + member("etc/a/passwd"),
    "another name of a file elsewhere": DIRECTORY + member("etc/b", tarfile.LNKTYPE, link="/etc/shadow"),
    "another name of a file above": DIRECTORY + member("etc/b", tarfile.LNKTYPE, link="etc/../../shadow"),
    "another name of what comes later": DIRECTORY + member("etc/b", tarfile.LNKTYPE, link="etc/c"),
    "absolute": member("/etc/a"),
    "above": member("../a"),
    "a dot": member("etc/./a"),
    "a header for all": member("x", tarfile.XGLTYPE) + member("etc/a"),
    "an unknown type": member("etc/a", b"V"),
}


@pytest.mark.parametrize("headers", ESCAPING.values(), ids=ESCAPING)
def test_what_would_escape_is_refused(headers: bytes) -> None:
    """By its name, by a link on its way, as another name of a file elsewhere, or in a form that tar does not write."""
    check = TreeCheck()
    with pytest.raises(ContentError):
        check.feed(gnu_tar({}, ahead=headers))


def test_a_sound_tree_passes() -> None:
    """Links that lead elsewhere are links, and no way for another member."""
    check = TreeCheck(["etc"])
    check.feed(gnu_tar({}, ahead=DIRECTORY + LINK + member("etc/b") + member("etc/c", tarfile.LNKTYPE, link="etc/b")))
    check.finish()
