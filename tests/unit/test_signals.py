"""Signals that end a verb."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

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
    time.sleep(0.5)
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


# How it comes in the scripts below: from a thread of their own, while the main thread is at something else.
HEAD = """
import os, signal, sys, threading, time
from pullagent.cli import signals
from pullagent.errors import Interrupted

def come(number, after_s):
    threading.Timer(after_s, os.kill, (os.getpid(), number)).start()

for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_DFL)
signals.become_exceptions()
"""


def said(script: str, path: Path | None = None) -> tuple[int, bytes, bytes]:
    """Exit status, standard output and error of such a script; it imports from `path` too."""
    env = os.environ | ({"PYTHONPATH": str(path)} if path else {})
    done = subprocess.run([sys.executable, "-c", HEAD + script], capture_output=True, timeout=20, check=False, env=env)
    return done.returncode, done.stdout, done.stderr


def test_an_import_is_not_interrupted(tmp_path: Path) -> None:
    """Python would keep its lock, for which every other thread's imports then wait; it comes right after it."""
    (tmp_path / "slow.py").write_text("import time\ntime.sleep(1)\n")
    script = """
come(signal.SIGTERM, 0.3)
try:
    import slow
    imported = True
    time.sleep(10)
except Interrupted as error:
    sys.exit(error.exit_code if imported else 1)
"""
    assert said(script, tmp_path) == (143, b"", b"")


@pytest.mark.parametrize("name", ["__enter__", "__exit__"])
def test_what_takes_a_lock_is_not_interrupted(name: str) -> None:
    """Nor what gives it back: the block or what follows it is."""
    script = f"""
class Lock:
    def __enter__(self): self.held = True
    def __exit__(self, *_): self.held = False

def slow(self, *_, inner=Lock.{name}):
    end = time.monotonic() + 1
    while time.monotonic() < end:
        time.sleep(0.01)
    inner(self)

slow.__code__ = slow.__code__.replace(co_name="{name}")
Lock.{name} = slow
lock = Lock()
come(signal.SIGTERM, 0.3)
try:
    with lock:
        time.sleep(0.01)
    time.sleep(10)
except Interrupted as error:
    sys.exit(1 if lock.held else error.exit_code)
"""
    assert said(script) == (143, b"", b"")


def test_what_starts_a_program_is_not_interrupted() -> None:
    """It would run, and nobody know of it."""
    script = """
import subprocess

started = None
come(signal.SIGTERM, 0.3)
try:
    started = subprocess.Popen(["sleep", "10"], preexec_fn=lambda: time.sleep(1))
    time.sleep(10)
except Interrupted as error:
    if started is not None:
        started.kill()
        started.wait()
        sys.exit(error.exit_code)
"""
    assert said(script) == (143, b"", b"")


def test_what_python_swallows_comes_again() -> None:
    """No exception gets out of a finalizer: it is raised once more behind it."""
    script = """
class Last:
    def __del__(self): time.sleep(1)

come(signal.SIGTERM, 0.3)
last = Last()
try:
    del last
    time.sleep(10)
except Interrupted as error:
    sys.exit(error.exit_code)
"""
    assert said(script) == (143, b"", b"")


def test_what_else_python_swallows_is_told() -> None:
    """A defect in a finalizer is."""
    code, _, told = said("class Last:\n    def __del__(self): raise ValueError('told')\nlast = Last()\ndel last\n")
    assert code == 0
    assert b"ValueError: told" in told


def test_what_cleans_up_is_not_interrupted_again() -> None:
    """Whoever presses Ctrl-C twice leaves nothing behind either."""
    script = """
try:
    come(signal.SIGINT, 0.2)
    time.sleep(10)
except Interrupted as error:
    come(signal.SIGINT, 0.1)
    come(signal.SIGTERM, 0.2)
    time.sleep(0.5)
    print("clean", flush=True)
    sys.exit(error.exit_code)
"""
    assert said(script) == (130, b"clean\n", b"")


def test_what_cleans_up_for_too_long_is_ended() -> None:
    """By the next signal, whatever it hangs in."""
    script = """
signals._PATIENCE_S = 0.5
try:
    come(signal.SIGINT, 0.2)
    time.sleep(10)
except Interrupted as error:
    come(signal.SIGTERM, 1)
    threading.Event().wait(30)
"""
    begun = time.monotonic()
    assert said(script) == (143, b"", b"")
    assert time.monotonic() - begun < 15


def test_one_that_comes_after_the_end_is_too_late() -> None:
    """The verb has ended as it has."""
    script = """
signals.disregard()
os.kill(os.getpid(), signal.SIGTERM)
time.sleep(0.3)
print("done")
"""
    assert said(script) == (0, b"done\n", b"")


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


def test_one_that_comes_first_of_all() -> None:
    """Once signals are exceptions, no moment is without somebody who catches them."""
    script = """
from pullagent.cli import app

become = signals.become_exceptions
signals.become_exceptions = lambda: (become(), os.kill(os.getpid(), signal.SIGTERM))
sys.argv = ["pullagent", "--version"]
app.main()
"""
    code, out, err = said(script)
    assert (code, out) == (143, b"")
    assert err.startswith(b"error: terminated\n")


def test_one_that_comes_last_of_all() -> None:
    """While Python comes to its end, which takes a moment: the exit code has been told."""
    script = """
import atexit
from pullagent.cli import app

atexit.register(lambda: [os.kill(os.getpid(), number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)])
class Last:
    def __del__(self, kill=os.kill, me=os.getpid()): kill(me, 15)
sys.last = Last()
sys.argv = ["pullagent", "--version"]
app.main()
"""
    code, out, err = said(script)
    assert (code, err) == (0, b"")
    assert out.startswith(b"pullagent ")


def test_what_fails_because_of_one_ends_with_its_code() -> None:
    """Ctrl-C on a terminal ends the programs that a verb has started as well; their end may be noticed first."""
    script = """
from pullagent.cli import app
from pullagent.errors import SealError

class Command:
    def main(self, **_):
        with self:
            pass
    def __enter__(self):
        os.kill(os.getpid(), signal.SIGTERM)
        raise SealError("age was killed")
    def __exit__(self, *_):
        pass

app.get_command = lambda _: Command()
app.main()
"""
    assert said(script) == (143, b"", b"error: age was killed\n")
