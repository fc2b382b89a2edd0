"""What the viewer sees: a heading for each step, each command as one would type it, and its real output."""

import os
import shlex
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

from tests.demo.errors import DemoError
from tests.lab import guard
from tests.lab.processes import plain_environment

_TREE = Path(__file__).parents[2]
_KEPT = ("TERM", "COLORTERM", "NO_COLOR")
_LIMIT_S = 120
_CONTINUED = "     \\"
_BOLD, _DIM, _PLAIN = "\x1b[1m", "\x1b[2m", "\x1b[0m"


class Terminal:
    """A shell in `directory`, with `config` exported as PULLAGENT_CONFIG.

    Commands run with this process' own standard output, so that tables and progress look as they do in real life;
    what they write to standard error goes there too, in order, also when all of it is kept in a file.
    """

    def __init__(self, directory: Path, config: Path) -> None:
        self._directory, self._config = directory, config
        self._steps = 0
        self._styled = sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        # PYTHONPATH: the code beside this demo, also in a copy of the tree whose .venv still names the original
        own = {"PULLAGENT_CONFIG": str(config), "PYTHONPATH": str(_TREE)}
        self._environment = plain_environment(directory, kept | own)

    def set_up(self) -> None:
        """Show what a viewer would type once, so that all commands after it are exactly what works."""
        self._show(f"alias pullagent={shlex.quote(f'{sys.executable} -m pullagent')}")
        self._show(f"cd {shlex.quote(str(self._directory))}")
        self._show(f'export PULLAGENT_CONFIG="$PWD/{self._config.relative_to(self._directory)}"')

    def step(self, title: str) -> None:
        """Begin a step: a blank line and what happens, in one line."""
        self._steps += 1
        self.say("")
        self.say(self._style(_BOLD, f"{self._steps}. {title}"))

    def say(self, text: str) -> None:
        """One line."""
        print(text, flush=True)

    def run(self, command: str, status: int = 0) -> float:
        """Show `command` and run it on the terminal; its seconds. DemoError unless it ends with `status`."""
        self._show(command)
        begun = time.monotonic()
        self._execute(command, status, keep=False)
        took = time.monotonic() - begun
        if status:
            self.say(self._style(_DIM, f"(exit status {status}, as it must be)"))
        return took

    def show_and_read(self, command: str) -> str:
        """As `run`, for a command whose output the demo needs too; DemoError also when there is none."""
        self._show(command)
        text = self.read(command)
        self.say(text.rstrip("\n"))
        return text

    def read(self, command: str) -> str:
        """What `command` writes, not shown. DemoError unless it ends well and wrote something."""
        text = self._execute(command, 0, keep=True)
        if not text.strip():
            raise DemoError(f"`{command}` wrote nothing", "run the demo again; if it stays so, report it")
        return text

    def _show(self, command: str) -> None:
        lines = [command]
        if sys.stdout.isatty() and not {"'", '"'} & set(command):
            # it stays one command when copied; between quotes the backslash would become part of it
            width = max(40, shutil.get_terminal_size().columns)
            lines = textwrap.wrap(command, width - len(_CONTINUED), break_long_words=False, break_on_hyphens=False)
        self.say("$ " + " \\\n    ".join(self._style(_BOLD, line) for line in lines))

    def _style(self, code: str, text: str) -> str:
        return f"{code}{text}{_PLAIN}" if self._styled else text

    def _execute(self, command: str, status: int, *, keep: bool) -> str:
        # bash, because at Ctrl-C dash ends before the command that it runs has tidied up
        with subprocess.Popen(
            ["bash", "-c", f'pullagent() {{ {shlex.quote(sys.executable)} -m pullagent "$@"; }}\n{command}'],
            cwd=self._directory,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if keep else None,
            stderr=subprocess.STDOUT,
        ) as shell:
            try:
                output, _ = shell.communicate(timeout=_LIMIT_S)
            except subprocess.TimeoutExpired as error:
                raise DemoError(
                    f"`{command}` did not end within {_LIMIT_S} s", "is this machine overloaded?"
                ) from error
            finally:
                _end(shell)
        text = output.decode("utf-8", "replace") if output else ""
        if shell.returncode != status:
            if text:
                self.say(text.rstrip("\n"))
            raise DemoError(
                f"`{command}` ended with {shell.returncode}, not {status}", "what it said itself stands above"
            )
        return text


def _end(shell: "subprocess.Popen[bytes]") -> None:
    """End a command that was cut short, and whatever it started; nothing to do after a whole one."""
    # Ctrl-C on a terminal reaches the command too: it may be tidying up already
    for number, patience in ((None, 3.0), (signal.SIGTERM, 10.0), (signal.SIGKILL, 10.0)):
        if shell.poll() is not None:
            return
        if number is not None:
            _send(number, [*guard.descendants(shell.pid), shell.pid])
        try:
            shell.wait(patience)
        except subprocess.TimeoutExpired:
            continue


def _send(number: signal.Signals, pids: list[int]) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue
