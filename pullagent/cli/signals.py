"""Signals that end a verb, as one exception of the main thread: wherever it waits, and not where that would do harm."""

import atexit
import os
import select
import signal
import sys
import threading
import time
from types import FrameType
from typing import TYPE_CHECKING

from pullagent.errors import Interrupted

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# ignored unless somebody asks for it, so that one that comes late does no harm
_KNOCK = signal.SIGURG
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.01, 1.0
# what ends may take so long to clean up; then another signal ends it as it is
_PATIENCE_S = 10.0
# what starts a thread or a program, of which nobody would know
_STARTING = ("Popen.__init__", "Thread.start", "ThreadPoolExecutor.submit")
# what takes or gives back locks: of any context manager, and of a condition
_LOCKING = ("__enter__", "__exit__", "_acquire_restore", "_release_save")


class _State:
    """The first signal that came, and whether nothing is left for it, or any other, to end."""

    number: int | None = None
    over = False


_state = _State()


def become_exceptions() -> None:
    """Have the main thread, which calls this, meet SIGINT, SIGTERM and SIGHUP as Interrupted; one ignored stays so.

    It is raised once: what cleans up after it is not interrupted again, unless it takes longer than ten seconds; then
    the next signal ends the process at once. Python runs handlers in the main thread, but the kernel may hand a signal
    to another one: to whichever starts a thread or a program at that moment, say. A main thread that waits for a lock
    would not wake, and the signal be lost until it does; so a thread of its own hears of each signal, and wakes it.
    """
    _state.number, _state.over = None, False
    for number in _ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _came)
    signal.signal(_KNOCK, lambda _, frame: _interrupt(frame))
    heard, told = os.pipe2(os.O_CLOEXEC)
    os.set_blocking(told, False)
    signal.set_wakeup_fd(told, warn_on_full_buffer=False)

    def swallowed(what: "UnraisableHookArgs") -> None:
        if not isinstance(what.exc_value, Interrupted):
            sys.__unraisablehook__(what)
        elif _state.number is not None:
            _state.over = False
            os.write(told, bytes([_state.number]))

    # it may have been raised in what Python calls by itself, where no exception gets out of: once more, then
    sys.unraisablehook = swallowed
    atexit.register(_ignore)
    threading.Thread(target=_wake, args=(heard, threading.get_ident()), name="signals", daemon=True).start()


def disregard() -> int | None:
    """The verb has ended: a signal that comes now changes nothing of how it did. One that came and was not raised."""
    unmet = None if _state.over else _state.number
    _state.over = True
    return unmet


def _ignore() -> None:
    """No thread is left to wait for, and the exit code stays what it is while Python comes to its end."""
    for number in _ENDING:
        signal.signal(number, signal.SIG_IGN)


def _came(number: int, frame: FrameType | None) -> None:
    if _state.number is None:
        _state.number = number
    _interrupt(frame)


def _interrupt(frame: FrameType | None) -> None:
    """Raise what has come, if that is still to be done, and may be done here; else it will be tried again."""
    if _state.number is not None and not _state.over and not _must_go_on(frame):
        _state.over = True
        raise Interrupted(_state.number)


def _must_go_on(frame: FrameType | None) -> bool:
    """Whether an exception here might leave a lock held for ever, while another thread waits for it (imports have
    some), might leave something running, or be lost.
    """
    if frame is not None and frame.f_code.co_name in _LOCKING:
        return True
    while frame is not None:
        code = frame.f_code
        if code.co_qualname in _STARTING or code.co_filename.startswith(("<frozen importlib", __file__)):
            return True
        frame = frame.f_back
    return False


def _wake(heard: int, main: int) -> None:
    """Interrupt what the main thread waits in until it has met the signal: it may not yet, or not here, have waited."""
    first_s: float | None = None
    pause_s: float | None = None
    while True:
        if not select.select([heard], [], [], pause_s)[0]:
            signal.pthread_kill(main, _KNOCK)
            pause_s = None if _state.over else min(_LONGEST_PAUSE_S, 2 * (pause_s or _FIRST_PAUSE_S))
        elif numbers := [number for number in os.read(heard, 64) if number in _ENDING]:
            if first_s is not None and time.monotonic() - first_s > _PATIENCE_S:
                os._exit(128 + numbers[-1])
            first_s = first_s or time.monotonic()
            pause_s = 0.0
