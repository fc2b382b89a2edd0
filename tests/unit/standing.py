"""Snapshots, ledger lines and reports for tests of the verdicts, without a disk."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pullagent.manifest import Manifest
from pullagent.model import Snapshot, SnapshotRef, SourceName, rfc3339, snapshot_id
from pullagent.monitoring.chronicle import Event, Facts
from pullagent.monitoring.status import StatusReport
from pullagent.monitoring.verdicts import Standing, judge
from pullagent.tables import ObjectivesTable
from tests.unit.storing import AGAMA, LOGS, entry

NOW = datetime(2026, 11, 23, 10, 0, 0, tzinfo=UTC)
OBJECTIVES = ObjectivesTable()


def ago(hours: float) -> datetime:
    """So many hours before NOW."""
    return NOW - timedelta(hours=hours)


def snapshot(hours: float, state: str = "good", name: SourceName = AGAMA, kilobytes: int = 30) -> Snapshot:
    """One that was begun so many hours before NOW."""
    taken = ago(hours).replace(microsecond=0)
    ref = SnapshotRef(name, snapshot_id(taken))
    manifest = Manifest(
        id=ref.id,
        host=name.host,
        source=name.source,
        kind="mysql",
        state="shrunk" if state == "shrunk" else "good",
        taken=taken,
        finished=taken + timedelta(seconds=14),
        agent_version="1",
        artifacts=(entry("dump.sql", b"x" * (kilobytes * 1000)),),
    )
    return Snapshot(
        ref, Path("/nowhere"), state, manifest, problem="dump.sql.zst.age: 1 bytes, not 2" * (state == "damaged")
    )


def pull(hours: float, error: str = "", code: int = 1) -> Event:
    """A pull that ended so many hours before NOW, well unless there is an error."""
    return Event(ago(hours), not error, code if error else 0, 14.0, error)


def standing(*snapshots: Snapshot, facts: Facts = Facts(), damaged: tuple[str, ...] = ()) -> Standing:  # noqa: B008 - frozen
    """How a source with these snapshots, newest first, stands at NOW."""
    name = snapshots[0].ref.name if snapshots else AGAMA
    return judge(name, snapshots, damaged, facts, OBJECTIVES, NOW)


def line(event: str, hours: float, *, ok: bool = True, name: SourceName = AGAMA, **more: Any) -> dict[str, Any]:
    """A line of the ledger."""
    common = {"v": 1, "time": rfc3339(ago(hours)), "event": event, "host": name.host, "source": name.source}
    return {**common, "ref": None, "ok": ok, "exit_code": 0 if ok else 1, "took_s": 2.0, "detail": {}} | more


def mixed() -> StatusReport:
    """Four sources: one as it should be, one late, one that failed, one that was never backed up."""
    proved = Facts(pull(9), pull(9), Event(ago(50), True), Event(ago(300), True), Event(ago(150), True, 0, 250.4))
    late = Facts(pull(9, "the backup port 127.0.0.1:8088 refused the connection | is it on?"), pull(33))
    return StatusReport(
        NOW,
        datetime(2026, 11, 24, 1, 0, tzinfo=UTC),
        OBJECTIVES,
        (
            judge(AGAMA, [snapshot(9, kilobytes=40), snapshot(33, kilobytes=30)], (), proved, OBJECTIVES, NOW),
            judge(LOGS, [snapshot(33, name=LOGS)], (), late, OBJECTIVES, NOW),
            judge(
                SourceName("pavroto-1", "wiki"),
                [snapshot(20, name=SourceName("pavroto-1", "wiki"))],
                (),
                Facts(pull(1, "no route to host")),
                OBJECTIVES,
                NOW,
            ),
            judge(SourceName("pavroto-1", "mail"), [], (), Facts(), OBJECTIVES, NOW),
        ),
    )
