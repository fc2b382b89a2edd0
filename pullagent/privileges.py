"""What the process may do and leave behind: no core dumps, private files, and root's rights no longer than needed."""

import ctypes
import os
import pwd
import resource
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

_PR_SET_DUMPABLE = 4


@dataclass(frozen=True)
class Owner:
    """Whom a store belongs to."""

    name: str
    uid: int
    gid: int
    groups: tuple[int, ...]


def harden() -> None:
    """Make files private whatever the caller's umask is; leave no memory to a core file or to another of our user."""
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # by its number, for the C library has no list of these; programs that are started begin dumpable again
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def owner_to_become(store: Path) -> Owner | None:
    """The owner of the store where root works on that of another; None for everybody else, and where there is none."""
    if os.geteuid() != 0:
        return None
    try:
        found = store.stat()
    except OSError:
        return None
    if found.st_uid == 0:
        return None
    try:
        entry = pwd.getpwuid(found.st_uid)
    except KeyError:
        return Owner(str(found.st_uid), found.st_uid, found.st_gid, ())
    return Owner(entry.pw_name, entry.pw_uid, entry.pw_gid, tuple(os.getgrouplist(entry.pw_name, entry.pw_gid)))


def become(owner: Owner) -> None:
    """Give root's rights up for those of `owner`, for good. The ledger goes on to name who began."""
    os.environ.setdefault("SUDO_USER", "root")
    os.setgroups(owner.groups)
    os.setresgid(owner.gid, owner.gid, owner.gid)
    os.setresuid(owner.uid, owner.uid, owner.uid)


@contextmanager
def acting_as(owner: Owner | None) -> Iterator[None]:
    """Do something with the rights of `owner`, and be root again afterwards."""
    if owner is None:
        yield
        return
    groups, gid = os.getgroups(), os.getegid()
    try:
        os.setgroups(owner.groups)
        os.setegid(owner.gid)
        os.seteuid(owner.uid)
        yield
    finally:
        os.seteuid(0)
        os.setegid(gid)
        os.setgroups(groups)


def unreadable_to(owner: Owner) -> Path | None:
    """Where this program or its Python lies, if `owner` may not read it: parts are loaded when they are needed."""
    with acting_as(owner):
        places = (Path(__file__), Path(os.__file__))
        return next((p.parent for p in places if not os.access(p, os.R_OK, effective_ids=True)), None)


def held(file: Path, owner: Owner) -> Path:
    """A path to `file` that still opens after `become`: in memory where only root may read it."""
    with acting_as(owner):
        if os.access(file, os.R_OK, effective_ids=True):
            return file
    with suppress(OSError):
        data = file.read_bytes()
        descriptor = os.memfd_create("key", os.MFD_CLOEXEC)
        with os.fdopen(os.dup(descriptor), "wb") as copy:
            copy.write(data)
        return Path(f"/proc/self/fd/{descriptor}")
    return file
