"""Where a repository lies: a path on the host, an SSH address, or a URL that git itself can follow. Pure."""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from pullagent.errors import UsageError
from pullagent.model import Address

SCHEMES = ("https", "http", "git", "file")
_SSH = ("ssh", "git+ssh", "ssh+git")
_FORMS = 'write "/srv/git/NAME.git" (a path on this host), "ssh://[USER@]HOST[:PORT]/PATH" or "https://HOST/PATH"'


@dataclass(frozen=True)
class Place:
    """A repository. `path` on the host, or on the SSH server `address`; else git follows `url`, by way of `scheme`."""

    url: str
    path: str | None = None
    address: Address | None = None
    scheme: str = "ssh"


def parse(url: str) -> Place:
    """ValueError, with what to write instead. What was found is shown only where it can hold no password."""
    if not url or len(url) > 2000 or re.search(r"[\x00-\x20\x7f]", url.replace(" ", "")):
        raise ValueError(f"not a repository's address; {_FORMS}")
    if url.startswith("/"):
        return Place(url, _path(url))
    if re.match(r"[A-Za-z0-9]*::", url):
        raise ValueError(f"found {url.partition('::')[0]}::…, by which git runs programs; {_FORMS}")
    scheme, found, _ = url.partition("://")
    if not found:
        return _short(url)
    if scheme in _SSH:
        return _ssh(url)
    if scheme not in SCHEMES:
        raise ValueError(f"found {scheme[:20]}://; {_FORMS}")
    return _plain(url, scheme)


def _path(path: str) -> str:
    if ".." in path.split("/") or path.strip("/") == "":
        raise ValueError(f"found {path!r}; write an absolute path without '..'")
    return path


def _short(url: str) -> Place:
    """`[USER@]HOST:PATH`, as scp has it; a relative path starts in the account's home."""
    head, colon, path = url.partition(":")
    if not colon or "/" in head or not path:
        raise ValueError(f"not a repository's address; {_FORMS}")
    return Place(url, _relative(path), _address(head))


def _ssh(url: str) -> Place:
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise ValueError(f"not a repository's address; {_FORMS}") from error
    if parts.password is not None:
        raise ValueError("a password stands in it (not shown); the pull key logs in there")
    if parts.query or parts.fragment:
        raise ValueError(f"not a repository's address; {_FORMS}")
    # git takes /~user for a home
    path = parts.path[1:] if parts.path.startswith("/~") else parts.path
    return Place(url, _relative(path), _address(parts.netloc))


def _relative(path: str) -> str:
    _path(f"/{path.lstrip('/')}")
    if path.startswith("-"):
        raise ValueError("its path begins with '-', which a program would take for an option")
    return path


def _address(text: str) -> Address:
    try:
        return Address.parse(text)
    except UsageError as error:
        raise ValueError(f"its host is not an address; {_FORMS}") from error


def _plain(url: str, scheme: str) -> Place:
    try:
        parts = urlsplit(url)
        if parts.username is not None or parts.password is not None:
            raise ValueError(
                "a user name or password stands in it (not shown), and anybody here could read it; "
                "let a key log in: ssh://HOST/PATH"
            )
        if (scheme == "file") == bool(parts.netloc) or not parts.path.strip("/"):
            raise ValueError(f"not a repository's address; {_FORMS}")
    except ValueError as error:
        if "://" in str(error) or "stands in it" in str(error):
            raise
        raise ValueError(f"not a repository's address; {_FORMS}") from error
    return Place(url, scheme=scheme)


def upload_pack(path: str) -> str:
    """The command that git sends to have a repository's objects, quoted as git does, for a git-shell knows no other."""
    quoted = path.replace("'", "'\\''").replace("!", "'\\!'")
    return f"git-upload-pack '{quoted}'"
