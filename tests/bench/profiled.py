"""`python -m tests.bench.profiled OUT ARGUMENTS…` is `pullagent ARGUMENTS…` that tells in OUT, as JSON, where its
processor seconds went.

Threads are told apart by what runs in them, and their clocks are the kernel's, read twenty times a second: of a thread
that ends, at most that much is missing. Within a thread, its own clock is read around the few functions that do the
work. Both cost a little themselves.
"""

import contextlib
import hashlib
import json
import resource
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ParamSpec, TypeVar
from unittest import mock

P = ParamSpec("P")
T = TypeVar("T")
_TICK_S = 0.05
START, PULL, TRANSPORT, WRITER, NATIVE, OTHER = "start", "pull", "transport", "writer", "native", "other"
# what runs in threads of our own; those that a pool starts go by its name for them
_KINDS = {"_MainThread": START, "BoundedTransport": TRANSPORT, "_Writer": WRITER}


def kind_of(thread: threading.Thread) -> str:
    """What a thread of the program does."""
    if thread.name.startswith("pull_"):
        return PULL
    return _KINDS.get(type(thread).__name__, OTHER)


class Meter:
    """Processor seconds of functions, by `THREAD/NAME`; those of one that another calls are not the other's too."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = defaultdict(float)
        self._lock, self._local = threading.Lock(), threading.local()

    def timed(self, name: str, function: Callable[P, T]) -> Callable[P, T]:
        """`function`, with its time put down under `name`."""

        def call(*arguments: P.args, **options: P.kwargs) -> T:
            within: list[float] = self._local.__dict__.setdefault("within", [])
            within.append(0.0)
            begun = time.thread_time()
            try:
                return function(*arguments, **options)
            finally:
                took = time.thread_time() - begun
                own = took - within.pop()
                if within:
                    within[-1] += took
                with self._lock:
                    self.spent[f"{kind_of(threading.current_thread())}/{name}"] += own

        return call


class ThreadClocks(threading.Thread):
    """Reads the processor time of every thread of this process until it is ended."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.ended = threading.Event()
        self._seen: dict[str, tuple[str, float]] = {}

    def run(self) -> None:
        """Until `ended` is set."""
        while not self.ended.wait(_TICK_S):
            self.look()

    def look(self) -> None:
        """Read all clocks once. A thread that Python does not know was started by a library, in C."""
        known = {str(thread.native_id): kind_of(thread) for thread in threading.enumerate() if thread is not self}
        known[str(self.native_id)] = "measuring"
        for task in Path("/proc/self/task").iterdir():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                spent = int((task / "schedstat").read_text().split()[0]) / 1e9
                self._seen[task.name] = (known.get(task.name, NATIVE), spent)

    def totals(self) -> dict[str, float]:
        """Seconds by what the threads do."""
        found: dict[str, float] = defaultdict(float)
        for kind, spent in self._seen.values():
            found[kind] += spent
        return found


class _Hash:
    """A SHA-256 whose time is put down."""

    def __init__(self, meter: Meter) -> None:
        own = hashlib.sha256()
        self.update, self.hexdigest = meter.timed("hash", own.update), own.hexdigest


@contextlib.contextmanager
def _around(meter: Meter) -> Iterator[None]:
    """Put the meter around what works on the stream."""
    from paramiko.packet import Packetizer

    from pullagent import seal
    from pullagent.checks.dump import DumpCheck
    from pullagent.host.command import Output
    from pullagent.seal import age, compressor

    set_cipher = Packetizer.set_inbound_cipher

    def set_inbound(packets: Packetizer, block_engine: Any, **options: Any) -> None:
        set_cipher(packets, _decrypting(meter, block_engine), **options)

    with contextlib.ExitStack() as stack:
        for owner, method, name in (
            (Output, "_receive", "receive"),
            (DumpCheck, "feed", "check"),
            (compressor.Compressor, "compress", "compress"),
            (age.Age, "send", "send"),
        ):
            stack.enter_context(mock.patch.object(owner, method, meter.timed(name, getattr(owner, method))))
        stack.enter_context(mock.patch.object(Packetizer, "set_inbound_cipher", set_inbound))
        stack.enter_context(mock.patch.object(seal, "hashlib", SimpleNamespace(sha256=lambda: _Hash(meter))))
        yield


def _decrypting(meter: Meter, engine: Any) -> Any:
    """A cipher whose decryption is put down; only AES-GCM, which pulls ask for, has a method of that name."""
    return SimpleNamespace(decrypt=meter.timed("decrypt", engine.decrypt)) if hasattr(engine, "decrypt") else engine


def main(out: str, *arguments: str) -> None:
    """Run it; the status is the program's own."""
    from pullagent.__main__ import main as run

    sys.argv = ["pullagent", *arguments]
    meter, clocks = Meter(), ThreadClocks()
    clocks.start()
    try:
        with _around(meter):
            run()
    finally:
        clocks.ended.set()
        clocks.join()
        clocks.look()
        Path(out).write_text(json.dumps(_told(meter, clocks)))


def _told(meter: Meter, clocks: ThreadClocks) -> dict[str, Any]:
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return {
        "threads": clocks.totals(),
        "within": meter.spent,
        "process": own.ru_utime + own.ru_stime,
        "children": children.ru_utime + children.ru_stime,
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
