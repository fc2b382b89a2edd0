"""manifest.json: what a snapshot is. Versioned; names no database, table or row."""

import re
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from pullagent.errors import StoreError
from pullagent.model import Sealed

_NAME, _HASH = r"[A-Za-z0-9_][A-Za-z0-9._-]*", r"[0-9a-f]{64}"
_FORMS = {"name": _NAME, "file": _NAME, "plain_sha256": _HASH, "stored_sha256": _HASH}
# none of them has a blank in it
_ENTRY = re.compile(" ".join(_FORMS.values()))

Size = Annotated[int, Meta(ge=0)]
Moment = Annotated[datetime, Meta(tz=True)]


# Unknown keys are passed over: a newer agent may add some, and its snapshots must stay readable.
class ArtifactEntry(Struct, frozen=True, kw_only=True):
    """One stored file. Sizes in bytes; hashes SHA-256 in hex, of the plain stream and of the stored file."""

    name: str
    file: str
    plain_bytes: Size
    plain_sha256: str
    stored_bytes: Size
    stored_sha256: str

    def __post_init__(self) -> None:
        """Refuse names and hashes that are none. For msgspec to look at each apart takes longer than all the rest."""
        if not _ENTRY.fullmatch(f"{self.name} {self.file} {self.plain_sha256} {self.stored_sha256}"):
            odd = next(key for key, form in _FORMS.items() if not re.fullmatch(form, getattr(self, key)))
            raise ValueError(f"{odd}: found {getattr(self, odd)[:80]!r}")

    @classmethod
    def of(cls, sealed: Sealed) -> "ArtifactEntry":
        """The entry of an artifact that was just sealed."""
        return cls(**asdict(sealed))


class Server(Struct, frozen=True, kw_only=True):
    """The database server that was dumped, as it calls itself; unknown is null."""

    kind: str | None = None
    version: str | None = None


class Manifest(Struct, frozen=True, kw_only=True):
    """A snapshot's description. Times are UTC; `taken` is the pull's start, `finished` its end."""

    format: Literal[1] = 1
    id: str
    host: str
    source: str
    kind: str
    state: Literal["good", "shrunk"] = "good"
    taken: Moment
    finished: Moment
    agent_version: str
    tools: dict[str, str] = {}
    server: Server = Server()
    recipients: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    artifacts: Annotated[tuple[ArtifactEntry, ...], Meta(min_length=1)]

    def artifact(self, name: str) -> ArtifactEntry:
        """The entry of the artifact called `name`; StoreError when the snapshot has none."""
        for entry in self.artifacts:
            if entry.name == name:
                return entry
        have = ", ".join(a.name for a in self.artifacts)
        raise StoreError(f"{self.host}/{self.source}@{self.id} holds no {name} (it holds {have})")


_READER = msgspec.json.Decoder(Manifest)


def dump(manifest: Manifest) -> bytes:
    """The manifest as indented JSON, UTF-8, with a final newline."""
    utc = {"taken": manifest.taken.astimezone(UTC), "finished": manifest.finished.astimezone(UTC)}
    raw = msgspec.json.encode(msgspec.structs.replace(manifest, **utc))
    # what could not be read again must not be written
    _READER.decode(raw)
    return msgspec.json.format(raw, indent=2) + b"\n"


def parse(raw: bytes) -> Manifest:
    """Read manifest.json; StoreError says what is wrong with it."""
    try:
        return _READER.decode(raw)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise StoreError(f"manifest.json is not readable: {_explained(str(error))}") from error


def _explained(message: str) -> str:
    """Where first, and without the signs of a path: `artifacts.0.file: Expected …`."""
    what, _, where = message.partition(" - at `$")
    place = where.strip("`").replace("[", ".").replace("]", "").strip(".")
    return f"{place}: {what}" if place else what
