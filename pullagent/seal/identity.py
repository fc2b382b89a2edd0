"""Who can open a snapshot: an identity, held in memory alone."""

import os
from pathlib import Path

from pullagent.errors import UsageError

IDENTITY_LIMIT = 1 << 20


class Identity:
    """An age identity (or SSH private key) in memory only, to be handed to the age program by descriptor."""

    def __init__(self, data: bytes) -> None:
        if not data.strip():
            raise UsageError(
                "the identity is empty", "give the file that holds AGE-SECRET-KEY-1…, or - for standard input"
            )
        if len(data) > IDENTITY_LIMIT:
            raise UsageError("what was given is too long to be an identity", "give the file with AGE-SECRET-KEY-1…")
        self._descriptor = os.memfd_create("identity", os.MFD_CLOEXEC)
        with os.fdopen(os.dup(self._descriptor), "wb") as file:
            file.write(data)

    @classmethod
    def read(cls, path: Path) -> "Identity":
        """Read an identity file once; UsageError when it cannot be read."""
        try:
            with path.open("rb") as file:
                return cls(file.read(IDENTITY_LIMIT + 1))
        except OSError as error:
            raise UsageError(
                f"identity {path}: {error.strerror}", "give the file that holds AGE-SECRET-KEY-1…"
            ) from error

    @property
    def data(self) -> bytes:
        """What it was made from."""
        return os.pread(self._descriptor, os.fstat(self._descriptor).st_size, 0)

    @property
    def descriptor(self) -> int:
        """The descriptor to pass to age; open until the object is closed."""
        return self._descriptor

    def __enter__(self) -> "Identity":
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)
