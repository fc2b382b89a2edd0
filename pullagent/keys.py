"""Keys by the stock programs: age, age-keygen and ssh-keygen. A secret key passes in memory alone.

Passphrases are asked for by those programs on the terminal itself; they never come here.
"""

import base64
import binascii
import os
import subprocess
import termios
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from pullagent.errors import SealError, UsageError, WrongIdentity
from pullagent.programs import ask

_AGE_FILE = (b"age-encryption.org/v1\n", b"-----BEGIN AGE ENCRYPTED FILE-----")
_SSH_KEY = b"PRIVATE KEY-----"
_SSH_UNLOCKED = b"openssh-key-v1\0\0\0\0\4none"
# ssh-keygen would open a window on a desktop
_NO_WINDOW = {"SSH_ASKPASS_REQUIRE": "never"}


def is_locked(identity: bytes) -> bool:
    """Whether a passphrase stands before this identity: an identity file encrypted by age, or an SSH key's own."""
    if identity.lstrip().startswith(_AGE_FILE):
        return True
    if _SSH_KEY not in identity:
        return False
    try:
        return not base64.b64decode(b"".join(identity.split(b"-----")[2].split())).startswith(_SSH_UNLOCKED)
    except (binascii.Error, IndexError):
        return b"ENCRYPTED" in identity


def asks_each_time(identity: bytes) -> bool:
    """Whether it is an age plugin's: that may want a PIN or a touch for every single file."""
    return b"AGE-PLUGIN-" in identity


def unlocked(identity: bytes) -> bytes:
    """The identity without its passphrase, which is asked for once, on the terminal.

    UsageError without a terminal, or when it is no identity at all; WrongIdentity for a wrong passphrase.
    """
    with _in_memory(identity) as file, _terminal():
        path = f"/proc/self/fd/{file}"
        if _SSH_KEY not in identity:
            return _checked(_run(["age", "-d", path], file))
        _checked(_run(["ssh-keygen", "-q", "-p", "-N", "", "-f", path], file, _NO_WINDOW))
        # not by its path: this process is closed to looks by its own user
        return os.pread(file, os.fstat(file).st_size, 0)


def public_keys(identity: bytes) -> tuple[str, ...]:
    """The recipients that belong to an unlocked identity; none for an age plugin's, which only it could tell."""
    if _SSH_KEY in identity:
        said = ask("ssh-keygen", "-y", "-P", "", "-f", "/dev/stdin", data=identity)
    else:
        own = [line for line in identity.splitlines() if line.startswith(b"AGE-SECRET-KEY-1")]
        said = ask("age-keygen", "-y", data=b"\n".join(own))
    return tuple(" ".join(line.split()[:2]) for line in (said or "").splitlines())


def _checked(done: "subprocess.CompletedProcess[bytes]") -> bytes:
    said = done.stderr.decode(errors="replace")
    if done.returncode == 0:
        return done.stdout
    if "incorrect passphrase" in said:
        raise WrongIdentity("the passphrase does not open the identity", "try again; nothing was changed")
    raise UsageError(
        "the identity file holds no identity that can be read",
        "give the file with AGE-SECRET-KEY-1…, such a file under a passphrase (age -p), or an SSH private key",
    )


def _run(argv: Sequence[str], file: int, env: Mapping[str, str] | None = None) -> "subprocess.CompletedProcess[bytes]":
    try:
        return subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            pass_fds=(file,),
            env=os.environ | (env or {}),
            check=False,
        )
    except OSError as error:
        package = "openssh-client" if argv[0] == "ssh-keygen" else "age"
        hint = f"apt-get install {package}"
        raise SealError(f"the program {argv[0]} cannot be run: {error.strerror}", hint) from error


@contextmanager
def _in_memory(data: bytes) -> Iterator[int]:
    """A file in memory alone that holds `data`, by its descriptor."""
    file = os.memfd_create("identity", os.MFD_CLOEXEC)
    try:
        # ssh-keygen takes no key that others might read
        os.fchmod(file, 0o600)
        with os.fdopen(os.dup(file), "wb") as writer:
            writer.write(data)
        yield file
    finally:
        os.close(file)


@contextmanager
def _terminal() -> Iterator[None]:
    """Leave the terminal as it was: a program that is stopped while it asks leaves it without echo."""
    try:
        terminal = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError as error:
        raise UsageError(
            "the identity has a passphrase, and there is no terminal to ask for it on",
            "on a terminal:  ssh -t …\nor unlock it elsewhere and give --identity -:  age -d KEY | ssh … --identity -",
        ) from error
    try:
        before = termios.tcgetattr(terminal)
        try:
            yield
        finally:
            termios.tcsetattr(terminal, termios.TCSADRAIN, before)
    finally:
        os.close(terminal)
