"""DAMAGED.json: the mark that a verification leaves in the directory of a snapshot that it found damaged."""

import json
from dataclasses import asdict, dataclass

FILE = "DAMAGED.json"


@dataclass(frozen=True)
class Damage:
    """What was found, and when (RFC 3339, UTC).

    `content`: decrypting was needed to find it, so that only a verification with an identity can find it gone.
    `problems`: a line `FILE: …` for each, which repeats nothing of what the snapshot holds.
    """

    found: str
    content: bool
    problems: tuple[str, ...]

    @property
    def file(self) -> str:
        """The file that the first problem is about."""
        return self.problems[0].partition(":")[0]

    def dump(self) -> bytes:
        """As JSON, with a final newline."""
        return json.dumps({"format": 1} | asdict(self), indent=2).encode() + b"\n"

    def __str__(self) -> str:
        more = f" (and {len(self.problems) - 1} more)" if len(self.problems) > 1 else ""
        return f"verify found on {self.found[:10]}: {self.problems[0]}{more}"


def parse(raw: bytes) -> Damage:
    """Read a mark. One that cannot be read is still a mark."""
    try:
        value = json.loads(raw)
        problems = tuple(str(p) for p in value["problems"])
        if problems:
            return Damage(str(value["found"]), value["content"] is True, problems)
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    return Damage("unknown", True, (f"{FILE}: unreadable",))
