"""Whether each source keeps its objective: OK, or what is wrong and why. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pullagent.model import Snapshot, SourceName
from pullagent.monitoring.chronicle import Event, Facts
from pullagent.tables import ObjectivesTable
from pullagent.words import span

# from best to worst; the worst of all sources is that of the whole
VERDICTS = ("OK", "SHRUNK", "FAILED", "LATE", "DAMAGED", "NEVER")
CRITICAL = frozenset({"LATE", "DAMAGED", "NEVER"})
# sizes shown as a trend: two weeks of nights
TREND = 14
_INTERRUPTED = (129, 130, 143)
# two pulls begun in one second get ids of consecutive ones, so an id may run ahead a little
_AHEAD = timedelta(minutes=1)


@dataclass(frozen=True)
class Standing:
    """How one source stands at `now`.

    `why` and `notes` are words of our own; `error` is what the last failed pull said, which may quote remote programs.
    `last_good` is the newest good snapshot; `trend` the plain sizes of the newest ones, in bytes, oldest first.
    """

    name: SourceName
    verdict: str
    why: str
    error: str
    notes: str
    last_good: Snapshot | None
    age: timedelta | None
    trend: tuple[int, ...]
    facts: Facts
    drill_due: bool = False
    """There is something to drill, and no good drill of late."""

    @property
    def reason(self) -> str:
        """All of why, on one line."""
        return (f"{self.why}: {self.error}" if self.error else self.why) + self.notes

    @property
    def brief(self) -> str:
        """The same without what remote programs said."""
        return self.why + self.notes

    @property
    def critical(self) -> bool:
        """Whether the objective is broken, or would be if the newest snapshot were needed."""
        return self.verdict in CRITICAL


def worst(verdicts: Iterable[str]) -> str:
    """The verdict over several; OK over none."""
    return max(verdicts, key=VERDICTS.index, default="OK")


def judge(
    name: SourceName,
    snapshots: Sequence[Snapshot],
    damaged: Iterable[str],
    facts: Facts,
    objectives: ObjectivesTable,
    now: datetime,
) -> Standing:
    """How a source stands. `snapshots`: newest first, down to the newest good one at least; `damaged`: the ids of
    snapshots in the store that a verification found damaged.

    Only a good snapshot counts for the age: one that shrank may lack what was deleted by mistake, and one that lies
    in the future says nothing of when it was taken.
    """
    bad = {*damaged, *(s.ref.id for s in snapshots if s.state == "damaged")}
    past = [s for s in snapshots if s.taken <= now + _AHEAD]
    good = next((s for s in past if s.state == "good" and s.ref.id not in bad), None)
    age = None if good is None else max(now - good.taken, timedelta())
    failed = _failed(facts.pulled, past)
    case = _Case(snapshots, past, [f"{name}@{i}" for i in sorted(bad)], good, age, failed, facts, objectives, now)
    verdict, why = case.decide()
    error = failed.error if failed is not None and verdict in ("NEVER", "LATE", "FAILED") else ""
    sizes = [s.plain_bytes for s in snapshots[:TREND] if s.plain_bytes is not None]
    return Standing(
        name, verdict, why, _short(error), case.notes(), good, age, tuple(reversed(sizes)), facts, case.drill_due()
    )


@dataclass(frozen=True)
class _Case:
    """All that a verdict rests on. `past` are the snapshots that do not lie in the future, `bad` the damaged ones'
    references, oldest first.
    """

    all: Sequence[Snapshot]
    past: Sequence[Snapshot]
    bad: Sequence[str]
    good: Snapshot | None
    age: timedelta | None
    failed: Event | None
    facts: Facts
    objectives: ObjectivesTable
    now: datetime

    def decide(self) -> tuple[str, str]:
        """The verdict and why. What is wrong with the newest snapshot goes before lateness, which goes before damage
        further back, a failed pull, and a suspicious size.
        """
        if not self.all:
            return "NEVER", self._never()
        if self.past and str(self.past[0].ref) in self.bad:
            return "DAMAGED", f"{self.past[0].ref} is damaged{_because(self.past[0])}; {self._last_good()}"
        if self.age is None:
            return self._none_good()
        if self.age > self._allowed():
            return "LATE", f"{self._last_good()}, {self._over(self.age)}; {self._since()}"
        if self.bad:
            return "DAMAGED", f"{_list(self.bad)} damaged; {self._last_good()}"
        if self.failed is not None:
            return "FAILED", f"{self._last_good()}; {self._since()}"
        if self.past[0].state == "shrunk":
            return "SHRUNK", f"{self.past[0].ref} is under half of the usual size; {self._last_good()}"
        return "OK", self._last_good()

    def notes(self) -> str:
        """What does not make the verdict, and must not go unsaid."""
        text = ""
        if len(self.past) < len(self.all) and self.past:
            text += f"; {self.all[0].ref} lies in the future"
        drill, minutes = self.facts.drilled, self.objectives.rto_minutes
        if drill is not None and drill.took_s > minutes * 60:
            text += f"; the last drill took {span(timedelta(seconds=drill.took_s))}, over {minutes:g} min"
        tried = self.facts.drill_tried
        if tried is not None and not tried.ok and tried.exit_code not in _INTERRUPTED:
            text += f"; the last drill FAILED {span(self.now - tried.time)} ago"
        return text

    def drill_due(self) -> bool:
        """Whether the restoration test should be done again."""
        drilled = self.facts.drilled
        limit = timedelta(days=self.objectives.drill_days)
        return self.good is not None and (drilled is None or self.now - drilled.time > limit)

    def _never(self) -> str:
        stored = self.facts.stored
        if stored is not None:
            return f"the store holds no snapshot; the last was stored {span(self.now - stored.time)} ago"
        return "never backed up" + (f"; {self._since()}" if self.failed else "")

    def _none_good(self) -> tuple[str, str]:
        if not self.past:
            return "LATE", f"{self.all[-1].ref} lies in the future: was the clock wrong?"
        return "NEVER", "there is no good snapshot" + (f"; {self._since()}" if self.failed else "")

    def _last_good(self) -> str:
        return "no good snapshot is left" if self.age is None else f"the last good snapshot is {span(self.age)} old"

    def _over(self, age: timedelta) -> str:
        rpo = timedelta(hours=self.objectives.rpo_hours)
        return f"{span(age - rpo)} over {self.objectives.rpo_hours:g} h"

    def _allowed(self) -> timedelta:
        return timedelta(hours=self.objectives.rpo_hours, minutes=self.objectives.grace_minutes)

    def _since(self) -> str:
        if self.failed is not None:
            return f"the last pull failed {span(self.now - self.failed.time)} ago"
        if self.past and self.past[0].state == "shrunk":
            return "what came after it shrank"
        return "no pull since"


def _failed(pulled: Event | None, past: Sequence[Snapshot]) -> Event | None:
    """The last pull if it failed. A snapshot that began after it shows that a later one went well unrecorded."""
    if pulled is None or pulled.ok or (past and past[0].taken > pulled.time):
        return None
    return pulled


def _because(snapshot: Snapshot) -> str:
    return f" ({snapshot.problem})" if snapshot.problem else ""


def _list(refs: Sequence[str]) -> str:
    if len(refs) == 1:
        return f"{refs[0]} is"
    return f"{refs[-1]} and {len(refs) - 1} older {'one' if len(refs) == 2 else 'ones'} are"


def _short(error: str) -> str:
    return error if len(error) <= 160 else error[:159] + "…"
