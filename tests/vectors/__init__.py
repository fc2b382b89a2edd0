"""Recorded output of real servers, and sealed files that must stay readable for ever."""

from pathlib import Path

ANSWERS = Path(__file__).parent / "answers"
DUMPS = Path(__file__).parent / "dumps"
SEALED = Path(__file__).parent / "sealed"


def label(command: str) -> str:
    """What a command's first line says it is for: `# pullagent: dump of agama` gives `dump`.

    What git sends is in a form that it fixes: `git-upload-pack '/srv/git/x.git'` gives `upload-pack`.
    """
    if command.startswith("git-upload-pack '"):
        return "upload-pack"
    return command.splitlines()[0].removeprefix("# pullagent: ").rpartition(" of ")[0].replace(" ", "-")
