"""Which members of an archive are to come back, what of each must be equal, and whether it is. Pure."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pullagent.checks.tree import DEVICES, Key, Member, below, key_of, with_mode
from pullagent.sources.base import Restored

_SHOWN = 200
# attributes that need no rights of root's
_USERS = (b"SCHILY.acl.", b"SCHILY.xattr.user.")


@dataclass(frozen=True)
class Wanted:
    """Which members are to be restored, and how. As root all of each; without, owners and devices cannot be made, and
    what the owner could not read could not be compared.
    """

    places: tuple[Key, ...]
    root: bool

    def takes(self, member: Member) -> bool:
        """Whether it is one of them."""
        chosen = not self.places or any(below(member.key, place) for place in self.places)
        return chosen and (self.root or member.kind not in DEVICES)

    def mode(self, member: Member) -> int:
        """Its permissions there."""
        if self.root or member.kind == "symbolic link":
            return member.mode
        return member.mode | (0o700 if member.kind == "directory" else 0o600)

    def head(self, member: Member) -> bytes | None:
        """The headers to send for it; None where it is not sent."""
        if not self.takes(member):
            return None
        mode = self.mode(member)
        return member.head if mode == member.mode else with_mode(member, mode)

    def traits(self, member: Member, digest: str) -> dict[str, str]:
        """What must be equal when it came back."""
        kept = {k: v for k, v in member.attributes.items() if self.root or k.startswith(_USERS)}
        found = {"kind": member.kind, "link": member.link}
        if member.kind == "hard link":
            return found
        found |= {"size": str(member.size), "content": digest[:16], "device": f"{member.device[0]}:{member.device[1]}"}
        if member.kind != "symbolic link":
            found["mode"] = f"{self.mode(member):04o}"
        if self.root:
            found["owner"] = f"{member.uid}:{member.gid}"
        found["modified"] = member.mtime
        # SELinux gives files labels of its own on the target
        shown = {k: v for k, v in kept.items() if k != b"SCHILY.xattr.security.selinux"}
        return found | {"attributes": " ".join(f"{k.decode(errors='replace')}={v!r}" for k, v in sorted(shown.items()))}


def compared(
    stored: Iterator[tuple[Member, str]],
    there: Iterator[tuple[Member, str]],
    wanted: Wanted,
    roots: Sequence[str],
) -> Iterator[Restored]:
    """Both sorted: the members that differ, the first 200 of them, then each root with how many are equal.

    What is there besides is nobody's concern: it was there before.
    """
    expected, equal, differing = Counter[str](), Counter[str](), 0
    found = next(there, None)
    root = 0
    for member, digest in stored:
        if not wanted.takes(member):
            continue
        while found is not None and found[0].key < member.key:
            found = next(there, None)
        while not below(member.key, key_of(roots[root])):
            root += 1
        expected[roots[root]] += 1
        same = found if found is not None and found[0].key == member.key else None
        traits = wanted.traits(member, digest)
        answer = wanted.traits(*same) if same else {}
        if traits == answer:
            equal[roots[root]] += 1
            continue
        differing += 1
        if differing <= _SHOWN:
            names = [name for name in traits if traits[name] != answer.get(name)]
            shown = [", ".join(f"{n} {t[n]}" for n in names) if t else "missing" for t in (traits, answer)]
            yield Restored(f"/{member.name}", member.kind, shown[0] if answer else "present", shown[1])
    for name in roots:
        yield Restored(f"/{name}", "tree", expected[name], equal[name])
