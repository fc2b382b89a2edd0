"""Signals that end a verb, as exceptions of the main thread, however it waits and whichever thread the kernel picks."""

import os
import signal
import threading
import time
from types import FrameType

from pullagent.errors import Interrupted

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# ignored unless somebody asks for it, so that one that comes late does no harm
_KNOCK = signal.SIGURG
_KNOCKS_AFTER_S = (0.0, 0.01, 0.1, 1.0)


def become_exceptions() -> None:
    """Have the main thread, which calls this, meet SIGINT, SIGTERM and SIGHUP as Interrupted; one ignored stays so.

    Python runs handlers in the main thread, but the kernel may hand a signal to another one: to whichever starts a
    thread or a program at that moment, say. A main thread that waits for a lock would not wake, and the signal be lost
    until it does; so a thread of its own hears of each signal, and wakes it.
    """

    def interrupt(number: int, _: FrameType | None) -> None:
        raise Interrupted(number)

    for number in _ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, interrupt)
    signal.signal(_KNOCK, lambda *_: None)
    heard, told = os.pipe2(os.O_CLOEXEC)
    os.set_blocking(told, False)
    signal.set_wakeup_fd(told, warn_on_full_buffer=False)
    threading.Thread(target=_wake, args=(heard, threading.get_ident()), name="signals", daemon=True).start()


def _wake(heard: int, main: int) -> None:
    """Interrupt what the main thread waits in, more than once: the first may come just before it begins to wait."""
    while numbers := os.read(heard, 64):
        if any(number in _ENDING for number in numbers):
            for pause_s in _KNOCKS_AFTER_S:
                time.sleep(pause_s)
                signal.pthread_kill(main, _KNOCK)
