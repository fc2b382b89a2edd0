"""Signals that end a verb."""

import signal
import subprocess
import sys

import pytest

ENDING = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
# The main thread waits for a lock that nobody gives free, and the signal comes to another thread, as the kernel may
# have it: the thread sends it to itself, at once or when the main thread sleeps.
WAITING = """
import signal, sys, threading, time
from pullagent.cli import signals
from pullagent.errors import Interrupted

number, pause_s = int(sys.argv[1]), float(sys.argv[2])
# whoever runs the tests may have them ignore it
signal.signal(number, signal.SIG_DFL)
signals.become_exceptions()

def hit():
    time.sleep(pause_s)
    signal.pthread_kill(threading.get_ident(), number)

lock = threading.Lock()
lock.acquire()
try:
    threading.Thread(target=hit, daemon=True).start()
    lock.acquire()
except Interrupted as error:
    # what follows is not interrupted by the same signal again
    time.sleep(1.5)
    sys.exit(error.exit_code)
"""


def waiting(number: int, pause_s: float) -> subprocess.CompletedProcess[bytes]:
    """How the main thread came out of its wait."""
    argv = [sys.executable, "-c", WAITING, str(int(number)), str(pause_s)]
    return subprocess.run(argv, capture_output=True, timeout=20, check=False)


@pytest.mark.parametrize(("number", "pause_s"), [*((number, 0.3) for number in ENDING), (signal.SIGTERM, 0)])
def test_a_signal_that_another_thread_gets(number: int, pause_s: float) -> None:
    """The main thread hears of it, whatever it waits for, once."""
    done = waiting(number, pause_s)
    assert done.returncode == 128 + number, done
    assert done.stderr == b""


def test_a_signal_that_is_ignored_stays_so() -> None:
    """What whoever started the program had it ignore ends nothing: nohup, a shell's background job."""
    script = f"""
import os, signal
from pullagent.cli import signals
signal.signal({int(signal.SIGHUP)}, signal.SIG_IGN)
signals.become_exceptions()
os.kill(os.getpid(), {int(signal.SIGHUP)})
print("still here")
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=20, check=False)
    assert done.stdout == b"still here\n", done
