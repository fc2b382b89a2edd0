"""A directory tree with everything that tar must carry, and a look at one by the system alone."""

import hashlib
import os
import socket
import stat
import struct
from pathlib import Path
from typing import Any

_ACL = b"\2\0\0\0" + b"".join(
    struct.pack("<HHI", tag, rights, who)
    for tag, rights, who in (
        (1, 6, 0xFFFFFFFF),
        (2, 4, 12345),
        (4, 4, 0xFFFFFFFF),
        (0x10, 4, 0xFFFFFFFF),
        (0x20, 0, 0xFFFFFFFF),
    )
)
"""user::rw-, user:12345:r--, group::r--, mask::r--, other::---"""
_RAW_IO = struct.pack("<IIIII", 0x02000001, 1 << 13, 0, 0, 0)


def plant(top: Path, sparse_bytes: int = 64 << 20) -> Path:
    """Make it, as root with owners, capabilities and devices too."""
    top.mkdir(parents=True)
    (top / "plain.conf").write_text("a = 1\n")
    (top / "empty").write_text("")
    (top / "shadow").write_text("root:*:1::::::\n")
    (top / "shadow").chmod(0o640)
    (top / "closed").write_text("nobody may read this\n")
    (top / "closed").chmod(0)
    (top / "big").write_bytes(os.urandom(3_000_001))
    (top / "dir" / "deeper").mkdir(parents=True)
    (top / "dir" / "deeper" / "leaf").write_text("leaf\n")
    (top / "dir").chmod(0o2750)
    os.link(top / "dir" / "deeper" / "leaf", top / "linked")
    (top / "absolute").symlink_to("/usr/share/zoneinfo/Etc/UTC")
    (top / "up").symlink_to("../elsewhere")
    (top / "dangling\nname \t'\"$(id)*").symlink_to("no where\n")
    (top / os.fsdecode(b"latin1-\xe9\xff")).write_text("not UTF-8\n")
    (top / "-rf").write_text("begins with a dash\n")
    (top / ("n" * 255)).write_text("long\n")
    deep = top / "/".join(["d" * 100] * 6)
    deep.mkdir(parents=True)
    (deep / "leaf").write_text("far down\n")
    os.mkfifo(top / "fifo")
    with socket.socket(socket.AF_UNIX) as listening:
        here = Path.cwd()
        os.chdir(top)
        listening.bind("socket")
        os.chdir(here)
    with (top / "sparse").open("wb") as file:
        file.write(b"head")
        file.seek(sparse_bytes // 2)
        file.write(b"middle" * 1000)
        file.truncate(sparse_bytes)
    (top / "zeros").write_bytes(bytes(200_000))
    os.setxattr(top / "plain.conf", "user.note", b"\0\xff\nbytes")
    os.setxattr(top / "shadow", "system.posix_acl_access", _ACL)
    os.utime(top / "plain.conf", ns=(1, 1_000_000_000_123_456_789))
    os.utime(top / "empty", ns=(1, -86_400_000_000_000))
    if os.getuid() == 0:
        os.chown(top / "shadow", 0, 42)
        os.chown(top / "big", 3_000_000_000, 65_533)
        os.lchown(top / "up", 1001, 1002)
        (top / "setuid").write_text("#!/bin/sh\n")
        (top / "setuid").chmod(0o4755)
        os.mknod(top / "null", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
        os.setxattr(top / "plain.conf", "security.capability", _RAW_IO)
    return top


def seen(top: Path) -> dict[str, dict[str, Any]]:
    """All below `top` but sockets: what `lstat` and the attributes' calls say, and a hash of each content."""
    found = {}
    names: dict[tuple[int, int], str] = {}
    for path in sorted([top, *top.rglob("*")]):
        state = path.lstat()
        if stat.S_ISSOCK(state.st_mode):
            continue
        name = os.fsencode(path.relative_to(top)).decode("latin1")
        one: dict[str, Any] = {"mode": oct(state.st_mode), "owner": (state.st_uid, state.st_gid)}
        one |= {"mtime": state.st_mtime_ns, "device": state.st_rdev, "attributes": {}}
        if stat.S_ISLNK(state.st_mode):
            one["link"] = str(path.readlink())
        else:
            attributes = os.listxattr(path) if not stat.S_ISFIFO(state.st_mode) else []
            one["attributes"] = {key: os.getxattr(path, key) for key in attributes}
        if stat.S_ISREG(state.st_mode):
            one["size"] = state.st_size
            one["same as"] = names.setdefault((state.st_dev, state.st_ino), name)
            with path.open("rb") as file:
                one["content"] = hashlib.file_digest(file, "sha256").hexdigest()
        found[name] = one
    return found
