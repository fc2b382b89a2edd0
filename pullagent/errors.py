"""The one family of errors, each with what was found, what to do about it, and the exit code.

    PullAgentError                1   failed
    ├── UsageError                2   the command line asks for something that cannot be
    │   └── ConfigError           2   hosts.toml is wrong
    ├── HostError                 1   the production host could not be reached or used
    │   ├── HostKeyError         13   its key is not the pinned one
    │   ├── Denied                1   it does not let the key in, or its gate not run a command
    │   ├── ProgramMissing        1   it lacks a program that hosts.toml has it use
    │   ├── ConnectionLost        1   the connection ended, stalled or ran out of time
    │   └── CommandFailed         1   a remote command ended with a bad status
    ├── SourceError               1   the database refuses, lacks or hides something
    │   └── ContentError          1   the stream is not what its kind must look like
    ├── SealError                 1   compressing, encrypting or writing failed
    │   └── WrongIdentity        12   the identity does not open the file
    ├── StoreError                1   the store cannot be read or written
    │   ├── DamageError           4   a stored file differs from its manifest
    │   ├── NoSuchSnapshot       10   the reference names no snapshot
    │   └── LockedError          11   another run holds the lock
    ├── RestoreError              1   the target is not fit, or what it holds afterwards differs
    │   └── HalfRestored  1/130/143   it ended after the target had been changed
    └── Stopped                 130   a worker was told to end
    Interrupted         129/130/143   SIGHUP, Ctrl-C, SIGTERM

Only `pullagent.cli` turns them into text and exit codes.
"""

import errno
from pathlib import Path

_LONGEST = 8000


class PullAgentError(Exception):
    """Something the operator must know of.

    `message` says what was found, `hint` what to type or look at next (may be empty).
    """

    exit_code = 1
    lasting = False
    """Whether it fails again however often it is tried, until somebody acts."""

    def __init__(self, message: str, hint: str = "", *, exit_code: int | None = None) -> None:
        super().__init__(message)
        self.message = _clipped(message)
        self.hint = _clipped(hint)
        if exit_code is not None:
            self.exit_code = exit_code


def _clipped(text: str) -> str:
    """For a screen, a journal and a ledger, whatever a host put into it."""
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


class UsageError(PullAgentError):
    """The command line asks for something that cannot be done as asked."""

    exit_code = 2
    lasting = True


class ConfigError(UsageError):
    """hosts.toml, or a file it names, is wrong."""


class HostError(PullAgentError):
    """A production host could not be reached or used."""


class HostKeyError(HostError):
    """The host's key is unknown or differs from the pinned one; nothing was sent to it."""

    exit_code = 13
    lasting = True


class Denied(HostError):
    """The host does not let the key in, or its gate does not let it run a command."""

    lasting = True


class ProgramMissing(HostError):
    """The host lacks a program that hosts.toml has it use."""

    lasting = True


class ConnectionLost(HostError):
    """The connection ended, stalled, or took longer than allowed."""


class CommandFailed(HostError):
    """A remote command ended with a status that its source does not declare good.

    `status` is the exit status (128 + n for signal n), `stderr` the last 64 KiB it wrote there.
    """

    def __init__(self, message: str, hint: str = "", *, status: int, stderr: str) -> None:
        super().__init__(message, hint)
        self.status = status
        self.stderr = stderr


class SourceError(PullAgentError):
    """What should be backed up cannot be, or not whole."""


class ContentError(SourceError):
    """The stream is not what an artifact of its kind must look like."""


class SealError(PullAgentError):
    """Compressing, encrypting, or writing a file failed."""


class WrongIdentity(SealError):
    """The identity given does not open the file."""

    exit_code = 12


class StoreError(PullAgentError):
    """The store cannot be read or written."""


class DamageError(StoreError):
    """A stored file differs from what its manifest says."""

    exit_code = 4


class NoSuchSnapshot(StoreError):
    """The reference names no snapshot, or more than one."""

    exit_code = 10


class LockedError(StoreError):
    """Another process holds the lock."""

    exit_code = 11


class RestoreError(PullAgentError):
    """The target is not fit for a restore, or what it holds afterwards is not what was stored."""


class HalfRestored(RestoreError):
    """A restore ended early, and the target is no longer what it was; its exit code is that of the cause."""


class Stopped(PullAgentError):
    """A worker thread gave up because the run is to end."""

    exit_code = 130


class Interrupted(BaseException):
    """Ctrl-C (130), SIGHUP (129) or SIGTERM (143) in the main thread.

    Not a KeyboardInterrupt, which the command-line library takes for its own, and not an Exception: nothing but the
    edge, and who must say what is left behind, catches it.
    """

    def __init__(self, signal_number: int) -> None:
        super().__init__(f"signal {signal_number}")
        self.exit_code = 128 + signal_number


def system_error(path: Path, error: OSError) -> StoreError:
    """What to tell the operator when the system refuses to read or write at `path`."""
    hint = ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        hint = (
            f"the disk is full: free space there (df -h {path.parent}), then run again; stored snapshots are unharmed"
        )
    elif error.errno == errno.EROFS:
        hint = f"its file system is mounted read-only; after an error of the disk?  findmnt -T {path}; dmesg | tail"
    elif error.errno in (errno.EACCES, errno.EPERM):
        hint = f"who owns it, and as whom do you run this?  ls -ld {path}"
    elif error.errno == errno.ENOTDIR:
        hint = f"a directory is needed there; what is it now?  ls -ld {path}"
    return StoreError(f"{error.filename or path}: {error.strerror}", hint)


def store_error(path: Path, error: OSError) -> StoreError:
    """The same at a path in the store, where prune may make room."""
    told = system_error(path, error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        told.hint += "\nwhat may go:  pullagent prune --dry-run"
    return told
