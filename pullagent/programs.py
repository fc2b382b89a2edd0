"""Other programs of this machine, asked a short question: bounded in time, nothing secret in their arguments."""

import subprocess

_LIMIT_S = 5


def ask(*argv: str, data: bytes = b"") -> str | None:
    """What a program says that ends well within 5 s, `data` being its input; None when it does not."""
    try:
        done = subprocess.run(argv, input=data, capture_output=True, timeout=_LIMIT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode(errors="replace").strip() if done.returncode == 0 else None
