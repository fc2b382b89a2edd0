"""Content check of a git bundle: its list of refs, and its pack to the hash that ends it. Pure.

The format is that of gitformat-bundle(5) and gitformat-pack(5): a line that names the version, capabilities, refs, an
empty line; then `PACK`, version and number of objects (32 bits each), the objects, and a hash over all of the pack.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping

from pullagent.errors import ContentError

_FIRST = (b"# v2 git bundle", b"# v3 git bundle")
_REF = re.compile(rb"([0-9a-f]{40}|[0-9a-f]{64}) ([!-~\x80-\xff]{1,4096})")
_HASHES = {40: "sha1", 64: "sha256"}
_LINE_BYTES, _REFS = 8 << 10, 400_000
_PACK_HEAD = 12
_AGAIN = "run it again; if it stays so, look into the mirror with git fsck"


class BundleCheck:
    """Feeds on a bundle; `refs` holds its refs once `listed` is True. `expected`: those that it must list, all of them.

    ContentError for a bundle that needs objects which it does not hold, is cut short, or was altered on its way.
    """

    def __init__(self, expected: Mapping[str, str] | None = None) -> None:
        self.refs: dict[str, str] = {}
        self._expected = expected
        self._rest = b""
        self._lines = 0
        self.listed = False
        self._pack_bytes = 0
        # git's own format; no secret rests on it
        self._digest = hashlib.sha1(usedforsecurity=False)

    def feed(self, chunk: bytes) -> None:
        """Look at the next bytes."""
        self._rest += chunk
        start = 0
        while not self.listed:
            end = self._rest.find(b"\n", start)
            if end < 0:
                break
            self._read(self._rest[start:end])
            start = end + 1
        # not line by line: there may be thousands in a chunk
        self._rest = self._rest[start:]
        if self.listed:
            self._hash()
        elif len(self._rest) > _LINE_BYTES:
            raise ContentError("a bundle's list of refs has a line without end", _AGAIN)

    def finish(self) -> None:
        """The stream has ended: the hash over the pack must be its last bytes."""
        if not self.listed:
            raise ContentError("the bundle ends within its list of refs", _AGAIN)
        if self._pack_bytes < _PACK_HEAD or self._rest != self._digest.digest():
            raise ContentError("the bundle's pack is cut short or altered: its last bytes are not its hash", _AGAIN)

    def _read(self, line: bytes) -> None:
        self._lines += 1
        if self._lines == 1:
            if line not in _FIRST:
                raise ContentError(f"not a git bundle: it begins with {line[:40]!r}", _AGAIN)
        elif not line:
            self._begin_pack()
        elif line.startswith(b"@") and not self.refs:
            if not line.startswith(b"@object-format="):
                raise ContentError(f"a bundle that asks for {line[:60].decode(errors='replace')}", _AGAIN)
        elif match := _REF.fullmatch(line):
            if len(self.refs) >= _REFS:
                raise ContentError(f"the bundle lists more than {_REFS} refs")
            self.refs[match[2].decode(errors="surrogateescape")] = match[1].decode()
        else:
            what = "needs objects that it does not hold" if line.startswith(b"-") else "holds a line that is no ref"
            raise ContentError(f"the bundle {what}: {line[:80].decode(errors='replace')}", _AGAIN)

    def _begin_pack(self) -> None:
        if not self.refs:
            raise ContentError("the bundle lists no refs", _AGAIN)
        if self._expected is not None and self.refs != self._expected:
            differing = sorted(set(self.refs.items()) ^ set(self._expected.items()))
            raise ContentError(f"the bundle does not list the refs of the mirror: {differing[0][0]!r} differs", _AGAIN)
        lengths = set(map(len, self.refs.values()))
        if len(lengths) > 1:
            raise ContentError("the bundle mixes object names of two lengths", _AGAIN)
        self._digest = hashlib.new(_HASHES[lengths.pop()], usedforsecurity=False)
        self.listed = True

    def _hash(self) -> None:
        """All but the last bytes, which may be the hash itself."""
        if self._pack_bytes == 0:
            if len(self._rest) < _PACK_HEAD:
                return
            if not self._rest.startswith((b"PACK\0\0\0\2", b"PACK\0\0\0\3")):
                raise ContentError("the bundle holds no pack after its list of refs", _AGAIN)
        ready = len(self._rest) - self._digest.digest_size
        if ready > 0:
            with memoryview(self._rest) as view:
                self._digest.update(view[:ready])
            self._pack_bytes += ready
            self._rest = self._rest[ready:]


def refs_of(chunks: Iterable[bytes]) -> dict[str, str]:
    """The refs that a bundle lists, from as much of it as that takes. ContentError."""
    check = BundleCheck()
    for chunk in chunks:
        check.feed(chunk)
        if check.listed:
            return check.refs
    check.finish()
    return check.refs
