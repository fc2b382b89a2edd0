"""Whether the clear mirror of a source keeps its own objective, beside the snapshots' one. Pure."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from pullagent.monitoring.verdicts import VERDICTS, Standing
from pullagent.store.mirrors import Note
from pullagent.tables import ObjectivesTable
from pullagent.words import span

# a clock that is put right by a little
_AHEAD = timedelta(minutes=1)


@dataclass(frozen=True)
class Copy:
    """A clear mirror: what is noted of its last comparison with upstream, and what to type to clone from it; empty
    where there is none yet.
    """

    note: Note | None
    clone: str = ""

    def age(self, now: datetime) -> timedelta | None:
        """How long ago upstream last answered; None before the first time."""
        compared = self.note.compared if self.note else None
        return None if compared is None else max(now - compared, timedelta())

    @property
    def agrees(self) -> bool | None:
        """Whether it held what upstream showed then; None before the first time, and where it is gone."""
        return self.note.agree if self.clone and self.note and self.note.compared else None


def with_copy(standing: Standing, copy: Copy, objectives: ObjectivesTable, now: datetime) -> Standing:
    """How a source stands that has a mirror: the worse of what its snapshots and its mirror come to, and both whys."""
    verdict, why, error = _judged(copy, objectives, now)
    if verdict == "OK":
        return standing
    if standing.verdict != "OK":
        why = f"{why}; {standing.why}"
    worst = max(verdict, standing.verdict, key=VERDICTS.index)
    return replace(standing, verdict=worst, why=why, error=standing.error or error)


def _judged(copy: Copy, objectives: ObjectivesTable, now: datetime) -> tuple[str, str, str]:
    """Verdict, why, and what was said by who could not be reached."""
    note, age = copy.note, copy.age(now)
    error = (note.error if note else "").partition("\n")[0]
    if note is None or note.compared is None or age is None:
        return "LATE", "its mirror was never compared with upstream", error
    if not copy.clone:
        return "LATE", "its mirror is not there any more", error
    if note.compared > now + _AHEAD:
        return "LATE", "its mirror was compared in the future: was the clock wrong?", error
    if age > timedelta(minutes=objectives.mirror_rpo_minutes):
        limit = f"over {objectives.mirror_rpo_minutes:g} min"
        return "LATE", f"its mirror was last compared with upstream {span(age)} ago, {limit}", error
    if error:
        return "FAILED", f"its mirror could not be compared just now; {span(age)} ago it could", error
    if not note.agree:
        return "FAILED", "its mirror does not hold what upstream shows: the ledger says why", ""
    return "OK", "", ""
