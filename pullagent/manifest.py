"""manifest.json: what a snapshot is. Versioned; names no database, table or row."""

from dataclasses import asdict
from datetime import UTC
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, PlainSerializer, ValidationError

from pullagent.errors import StoreError
from pullagent.model import Sealed

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]*$")]
Moment = Annotated[
    AwareDatetime, PlainSerializer(lambda m: m.astimezone(UTC).isoformat().replace("+00:00", "Z"), when_used="json")
]


class _Frozen(BaseModel):
    # Unknown keys are allowed: a newer agent may add some, and its snapshots must stay readable.
    model_config = ConfigDict(frozen=True, extra="ignore")


class ArtifactEntry(_Frozen):
    """One stored file. Sizes in bytes; hashes SHA-256 in hex, of the plain stream and of the stored file."""

    name: FileName
    file: FileName
    plain_bytes: Annotated[int, Field(ge=0)]
    plain_sha256: Sha256
    stored_bytes: Annotated[int, Field(ge=0)]
    stored_sha256: Sha256

    @classmethod
    def of(cls, sealed: Sealed) -> "ArtifactEntry":
        """The entry of an artifact that was just sealed."""
        return cls(**asdict(sealed))


class Server(_Frozen):
    """The database server that was dumped, as it calls itself; unknown is null."""

    kind: str | None = None
    version: str | None = None


class Manifest(_Frozen):
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
    tools: dict[str, str] = Field(default_factory=dict)
    server: Server = Server()
    recipients: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    artifacts: Annotated[tuple[ArtifactEntry, ...], Field(min_length=1)]

    def artifact(self, name: str) -> ArtifactEntry:
        """The entry of the artifact called `name`; StoreError when the snapshot has none."""
        for entry in self.artifacts:
            if entry.name == name:
                return entry
        have = ", ".join(a.name for a in self.artifacts)
        raise StoreError(f"{self.host}/{self.source}@{self.id} holds no {name} (it holds {have})")


def dump(manifest: Manifest) -> bytes:
    """The manifest as indented JSON, UTF-8, with a final newline."""
    return manifest.model_dump_json(indent=2).encode() + b"\n"


def parse(raw: bytes) -> Manifest:
    """Read manifest.json; StoreError says what is wrong with it."""
    try:
        return Manifest.model_validate_json(raw)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise StoreError(f"manifest.json is not readable: {where}: {first['msg']}") from error
