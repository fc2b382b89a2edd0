"""How much memory a piece of work takes at its peak."""

import re
from collections.abc import Callable
from pathlib import Path


def peak_growth(work: Callable[[], object]) -> int:
    """By how many bytes this process grew at most while `work` ran."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew (proc(5))
    before = _status("VmRSS")
    work()
    return _status("VmHWM") - before


def _status(key: str) -> int:
    found = re.search(rf"^{key}:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) << 10
