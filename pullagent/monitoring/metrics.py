"""How the sources stand, as text in Prometheus's exposition format. Pure."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType

from pullagent.model import SourceName
from pullagent.monitoring.chronicle import Event
from pullagent.monitoring.copies import Copy
from pullagent.monitoring.verdicts import VERDICTS, Standing
from pullagent.tables import ObjectivesTable

Value = Callable[[Standing], float | None]


def _when(event: Event | None) -> float | None:
    return None if event is None else event.time.timestamp()


_METRICS: tuple[tuple[str, str, Value], ...] = (
    (
        "last_success_timestamp_seconds",
        "When the pull of the newest good snapshot began.",
        lambda s: s.last_good.taken.timestamp() if s.last_good else None,
    ),
    (
        "last_success_age_seconds",
        "Age of the newest good snapshot when this file was written.",
        lambda s: s.age.total_seconds() if s.age is not None else None,
    ),
    (
        "last_success_plain_bytes",
        "Size of the newest good snapshot before compression.",
        lambda s: s.last_good.plain_bytes if s.last_good else None,
    ),
    (
        "last_success_stored_bytes",
        "Size of the newest good snapshot in the store.",
        lambda s: s.last_good.stored_bytes if s.last_good else None,
    ),
    (
        "last_success_duration_seconds",
        "How long the pull of the newest good snapshot took.",
        lambda s: s.last_good.took_s if s.last_good else None,
    ),
    ("last_pull_timestamp_seconds", "When the last pull ended, well or not.", lambda s: _when(s.facts.pulled)),
    (
        "last_pull_success",
        "Whether the last pull ended well.",
        lambda s: None if s.facts.pulled is None else float(s.facts.pulled.ok),
    ),
    ("last_verify_timestamp_seconds", "When the last verification found no damage.", lambda s: _when(s.facts.verified)),
    (
        "last_key_check_timestamp_seconds",
        "When the key was last proved to open the newest snapshot.",
        lambda s: _when(s.facts.key_checked),
    ),
    ("last_drill_timestamp_seconds", "When the last good restore drill ended.", lambda s: _when(s.facts.drilled)),
    (
        "last_drill_duration_seconds",
        "How long the last good restore drill took.",
        lambda s: s.facts.drilled.took_s if s.facts.drilled else None,
    ),
)


def text(
    now: datetime,
    next_run: datetime | None,
    objectives: ObjectivesTable,
    standings: Sequence[Standing],
    copies: Mapping[SourceName, Copy] = MappingProxyType({}),
) -> str:
    """All of it, ending in a newline. What is unknown has no sample. `copies`: the clear mirrors of some sources."""
    lines = [
        *_alone("status_timestamp_seconds", "When this file was written.", now.timestamp()),
        *_alone("next_run_timestamp_seconds", "When the next run begins.", next_run.timestamp() if next_run else None),
        *_alone("rpo_seconds", "How old the newest good snapshot may get.", objectives.rpo_hours * 3600),
        *_alone("rpo_grace_seconds", "How much older it may get before it is late.", objectives.grace_minutes * 60),
        *_alone("rto_seconds", "How long a restore may take.", objectives.rto_minutes * 60),
        *_head("verdict", "1 for the verdict that holds, 0 for the others."),
    ]
    for standing in standings:
        for verdict in VERDICTS:
            lines.append(_sample("verdict", float(standing.verdict == verdict), standing, verdict=verdict))
    for name, help_text, value in _METRICS:
        samples = [(standing, value(standing)) for standing in standings]
        known = [_sample(name, number, standing) for standing, number in samples if number is not None]
        lines += [*_head(name, help_text), *known] if known else []
    return "".join(f"{line}\n" for line in [*lines, *_of_copies(objectives, standings, copies)])


def _of_copies(
    objectives: ObjectivesTable, standings: Sequence[Standing], copies: Mapping[SourceName, Copy]
) -> Iterator[str]:
    notes = [(s, copies[s.name].note) for s in standings if s.name in copies]
    known = [(s, note.compared.timestamp(), note.agree) for s, note in notes if note and note.compared]
    if notes:
        limit = objectives.mirror_rpo_minutes * 60
        yield from _alone("mirror_rpo_seconds", "How long ago a mirror may have been compared.", limit)
    if known:
        name = "mirror_compared_timestamp_seconds"
        yield from _head(name, "When a clear mirror was last compared with its upstream.")
        yield from (_sample(name, compared, s) for s, compared, _ in known)
        yield from _head("mirror_agrees", "Whether it held then what upstream showed.")
        yield from (_sample("mirror_agrees", float(agree), s) for s, _, agree in known)


def _alone(name: str, help_text: str, value: float | None) -> Iterator[str]:
    if value is not None:
        yield from _head(name, help_text)
        yield f"pullagent_{name} {_number(value)}"


def _head(name: str, help_text: str) -> Iterator[str]:
    yield f"# HELP pullagent_{name} {help_text}"
    yield f"# TYPE pullagent_{name} gauge"


def _sample(name: str, value: float, standing: Standing, **more: str) -> str:
    labels = {"host": standing.name.host, "source": standing.name.source} | more
    shown = ",".join(f'{key}="{_escaped(label)}"' for key, label in labels.items())
    return f"pullagent_{name}{{{shown}}} {_number(value)}"


def _escaped(label: str) -> str:
    return label.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(round(value, 3))
