"""What clear mirrors let go: refs that their upstreams gave up longer ago than [retention] keeps."""

from collections.abc import Collection
from datetime import datetime, timedelta

from pullagent.config import Config
from pullagent.errors import LockedError
from pullagent.model import SourceName, StopSignal
from pullagent.sources.base import Bench, mirrored
from pullagent.store import Store


def expire(
    config: Config,
    now: datetime,
    *,
    spared: Collection[SourceName] = (),
    dry_run: bool = False,
    stop: StopSignal | None = None,
) -> tuple[str, ...]:
    """Let them go, in every mirror but those of `spared`; `HOST/SOURCE REF` of each. PullAgentError.

    A mirror that is at work keeps them until the next time. With `dry_run` only their names are found.
    """
    store, before = Store(config.store), now - timedelta(days=config.retention.days)
    gone: list[str] = []
    for name in config.source_names():
        source, place = mirrored(config.hosts[name.host].sources[name.source]), store.mirror_place(name)
        if source is None or name in spared or not place.is_dir():
            continue
        try:
            with store.locked(name):
                bench = Bench(place, now, stop or StopSignal())
                gone += [f"{name} {ref}" for ref in source.expire(bench, before, dry_run=dry_run)]
        except LockedError:
            continue
    return tuple(gone)
