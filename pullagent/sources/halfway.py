"""What a target holds when a restore ends before its end, told in the error that the operator sees."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pullagent.errors import HalfRestored, Interrupted, PullAgentError, RestoreError

Cause = Callable[[PullAgentError], str]


class Halfway:
    """How far a restore of `names` onto `host` has come. `cause` words an error; it may have to leave data out.
    `again`: what --replace does.
    """

    def __init__(
        self,
        host: str,
        names: str,
        cause: Cause = lambda error: error.message,
        again: str = "--replace drops what is there, and restores again",
    ) -> None:
        self._host, self._names, self._cause, self._again = host, names, cause, again
        self._changed = self._loaded = False
        self.notes: list[str] = []
        """What an operator must know besides, should it end early."""

    def changing(self) -> None:
        """From now on the target is no longer what it was."""
        self._changed = True

    def loaded(self) -> None:
        """Everything is there; what is left to do is to look at it."""
        self._loaded = True

    @contextmanager
    def told(self) -> Iterator[None]:
        """Raise HalfRestored in place of whatever ends the block once something was changed."""
        try:
            yield
        except (PullAgentError, Interrupted) as error:
            if not self._changed:
                raise
            cause = self._cause(error) if isinstance(error, PullAgentError) else _signal(error)
            hints = [f"start over; {self._again}"]
            raise HalfRestored(
                f"{self._state()}: {cause}", "\n".join(hints + self.notes), exit_code=error.exit_code
            ) from error

    def _state(self) -> str:
        if self._loaded:
            return f"{self._host} holds all of {self._names} that was loaded, but it was not compared to the end"
        return f"{self._host} is half restored, and {self._names} is not usable as it is"


def came_meanwhile(what: str) -> RestoreError:
    """What to raise where the target was empty when it was looked at, and no longer is."""
    return RestoreError(
        f"since the target was looked at, it was given {what}; nothing was changed",
        "what writes there? Stop it, see whether that is wanted, then restore with --replace",
    )


def _signal(error: Interrupted) -> str:
    return "interrupted" if error.exit_code == 130 else "terminated"
