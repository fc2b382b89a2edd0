"""Checks a bundle while it streams out of a mirror: against the mirror's refs, by git's own word, and by its hash."""

from pullagent.checks.bundle import BundleCheck
from pullagent.errors import ContentError
from pullagent.sources.git.mirror import Mirror
from pullagent.sources.git.program import GitFailed
from pullagent.sources.git.refs import Mine


class MirrorCheck(BundleCheck):
    """The check of a bundle made from `mirror`, whose refs are `found`.

    `git bundle verify` reads a bundle's list of refs alone, so that is all it is given, in memory; the objects are
    proven by the fsck before, and the hash over them.
    """

    def __init__(self, mirror: Mirror, found: Mine) -> None:
        super().__init__(mirror.listed(found))
        self._mirror, self._head = mirror, b""

    def feed(self, chunk: bytes) -> None:
        """Look at the next bytes."""
        listing = not self.listed
        super().feed(chunk)
        if listing:
            self._head += chunk
            if self.listed:
                self._verify()

    def _verify(self) -> None:
        head, empty, _ = self._head.partition(b"\n\n")
        self._head = b""
        try:
            self._mirror.verify_bundle(head + empty)
        except GitFailed as error:
            raise ContentError(f"git does not take the bundle for a whole one: {error.message}", error.hint) from error
