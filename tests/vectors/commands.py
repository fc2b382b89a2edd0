"""The commands that pulls of the example hosts.toml send, as a text that a review can read.

`python -m tests.vectors.commands` writes it anew: a change there means that every production host needs a new gate.
"""

from pathlib import Path

from pullagent import config
from pullagent.gate import digest_of
from pullagent.sources import KINDS
from pullagent.wire.commands import commands_of, questions

EXAMPLE = Path(__file__).parents[2] / "hosts.toml"
GOLDEN = Path(__file__).with_name("commands.txt")


def text() -> str:
    """Every command of every source below a line that names it, and the digest of each host's gate."""
    parts = []
    for host in config.load(EXAMPLE, KINDS).hosts.values():
        parts += [f"==== {host.name}: before a stream ====\n{command}\n" for command in questions(host.manner)]
        for name, source in host.sources.items():
            commands = [c for c in commands_of([source], host.manner) if c not in questions(host.manner)]
            for number, command in enumerate(commands, 1):
                parts.append(f"==== {host.name}/{name}: command {number} of {len(commands)} ====\n{command}\n")
            parts += [f"==== {host.name}/{name}: as root ====\n{' '.join(argv)}\n" for argv in source.as_root()]
        parts.append(f"==== {host.name}: digest ====\n{digest_of(commands_of(host.sources.values(), host.manner))}\n")
    return "\n".join(parts)


if __name__ == "__main__":
    GOLDEN.write_text(text())
