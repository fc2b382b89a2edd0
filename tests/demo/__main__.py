"""`python -m tests.demo`: play the story in a temporary directory, and leave nothing behind, however it ends."""

import os
import shutil
import signal
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from tests.demo.errors import DemoError
from tests.lab import guard
from tests.lab.errors import LabError

if TYPE_CHECKING:
    from tests.demo.story import Figures

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_PATIENCE_S = 30


class Interrupted(KeyboardInterrupt):
    """One of `_SIGNALS` came; its argument is the number."""


def main() -> int:
    """Play the demo; 0 only if the proof holds and nothing is left of it."""
    begun = time.monotonic()
    for number in _SIGNALS:
        signal.signal(number, _interrupt)
    try:
        figures = _play()
        _conclude(figures, time.monotonic() - begun)
    except BrokenPipeError:
        # the reader of our output left; Python would complain about it once more at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except DemoError as error:
        _complain(error.message, error.hint)
        return 1
    except (LabError, OSError) as error:
        _complain(str(error), "is every program there, and room for temporary files?  make packages; df -h")
        return 1
    except Interrupted as error:
        _complain("interrupted; everything was stopped and removed", "run it again:  make demo")
        return 128 + int(error.args[0])
    return 0


def _play() -> "Figures":
    # here, because a Ctrl-C while they load is to end as well as any other
    from tests.demo.story import Story
    from tests.lab.production import ProductionHost

    # orphans of whatever is cut short come back to this process, so that the sweep finds them
    guard.prctl(guard.PR_SET_CHILD_SUBREAPER, 1)
    with ExitStack() as stack:
        work = Path(tempfile.mkdtemp(prefix="pullagent-demo-"))
        stack.callback(_remove, work)
        # not in the user's cache: nothing is to stay, and an empty data directory takes two seconds to make
        os.environ["PULLAGENT_LAB_CACHE"] = str(work / "cache")
        host = ProductionHost(work / "production")
        stack.callback(host.destroy)
        # ahead of `destroy`, which waits for what does not end
        stack.callback(_end_processes)
        stack.callback(_ignore_signals)
        return Story(work, host).tell()


def _end_processes() -> None:
    """Kill all that was started here, and wait until the kernel says that nothing of it is left."""
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        guard.sweep()
        try:
            # a killed server with threads in the midst of writing takes a moment to go
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                time.sleep(0.02)
        except ChildProcessError:
            return
    raise DemoError(f"processes do not end: {guard.descendants(os.getpid())}", "kill them by hand")


def _remove(work: Path) -> None:
    shutil.rmtree(work, ignore_errors=True)
    if work.exists():
        raise DemoError(f"{work} could not be removed whole", f"rm -rf {work}")


def _interrupt(number: int, _: FrameType | None) -> None:
    raise Interrupted(number)


def _ignore_signals() -> None:
    """A second Ctrl-C must not cut the cleaning up short; it takes a second or two."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _complain(message: str, hint: str) -> None:
    print(f"\nerror: {message}\nhint: {hint}", file=sys.stderr)


def _conclude(figures: "Figures", seconds: float) -> None:
    stored = f"{figures.plain_bytes / 1e6:.2f} MB compressed and encrypted to {figures.stored_bytes / 1e6:.2f} MB"
    print(
        "\nEvery server is stopped, every directory removed. What was proven:\n"
        f"  equal     {figures.compared} objects compared, with {figures.rows:,} rows and {figures.points:,} points\n"
        f"  stored    {stored} in {figures.pulled_s:.1f} s\n"
        f"  restored  both databases in {figures.restored_s:.1f} s (the whole demo took {seconds:.0f} s)\n"
        "Read next: README.md, then docs/.",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
