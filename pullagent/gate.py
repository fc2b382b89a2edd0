"""Renders what a production host needs to let the pull key in, and nothing more. Pure.

The key may run the constant commands of its sources and nothing else: a forced-command wrapper compares what was
asked for, as a whole string, with each of them. `digest` lets the backup server ask whether the wrapper is current.
"""

import hashlib
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pullagent.errors import UsageError
from pullagent.sources.base import Source

DIGEST_COMMAND = "pullagent-gate digest"
REFUSED = "pullagent-gate: refused"
REFUSED_STATUS = 126
WRAPPER_PLACE = "/usr/local/lib/pullagent-gate"


@dataclass(frozen=True)
class Gate:
    """The files of one host's gate, by name, and the digest that its wrapper answers."""

    files: Mapping[str, str]
    digest: str


def commands_of(sources: Iterable[Source]) -> tuple[str, ...]:
    """Every command that pulls of these sources can send, each once, in order."""
    return tuple(dict.fromkeys(command for source in sources for command in source.commands()))


def digest_of(commands: Iterable[str]) -> str:
    """SHA-256 in hex over the command list."""
    return hashlib.sha256("\0".join(commands).encode()).hexdigest()


def render(
    host: str, user: str, sources: Mapping[str, Source], public_key: str, from_addresses: tuple[str, ...] = ()
) -> Gate:
    """The wrapper, the authorized_keys line, the database grants and a checklist for one host.

    `public_key` is the pull key's public half; with `from_addresses` it may come from these alone.
    """
    key = " ".join(public_key.split())
    if not key.startswith(("ssh-", "ecdsa-", "sk-")):
        raise UsageError(
            "the pull key's public half is not an SSH public key", "ssh-keygen -y -f the private key shows it"
        )
    commands = commands_of(sources.values())
    digest = digest_of(commands)
    files = {
        "pullagent-gate": _wrapper(host, commands, digest),
        "authorized_keys": _authorized_key(key, from_addresses),
        "README": _checklist(host, user, sources),
    }
    grants = "".join(source.grants(user) for source in sources.values())
    if grants:
        files["grants.sql"] = grants
    return Gate(files, digest)


def _wrapper(host: str, commands: tuple[str, ...], digest: str) -> str:
    cases = "".join(f"{shlex.quote(command)}) ;;\n" for command in commands)
    return f"""#!/bin/sh
# pullagent-gate: lets the backup server's key on {host} run these commands and nothing else.
# Rendered by `pullagent gate {host}`; render it again when hosts.toml or pullagent changes.
set -u
unset ENV BASH_ENV CDPATH GLOBIGNORE SHELLOPTS BASHOPTS LD_PRELOAD LD_LIBRARY_PATH
asked=${{SSH_ORIGINAL_COMMAND-}}
case $asked in
'{DIGEST_COMMAND}') echo {digest}; exit 0 ;;
{cases}*)
    logger -p auth.warning -t pullagent-gate -- "refused a command from ${{SSH_CLIENT-?}}" 2>/dev/null
    echo '{REFUSED}' >&2
    exit {REFUSED_STATUS}
    ;;
esac
unset SSH_ORIGINAL_COMMAND
exec /bin/sh -c "$asked"
"""


def _authorized_key(key: str, from_addresses: tuple[str, ...]) -> str:
    options = ["restrict", f'command="{WRAPPER_PLACE}"']
    if from_addresses:
        if any(set(a) - set("0123456789abcdefABCDEF.:/*?") for a in from_addresses):
            raise UsageError(f"not addresses: {', '.join(from_addresses)}", "write IP addresses or networks")
        options.append(f'from="{",".join(from_addresses)}"')
    return f"{','.join(options)} {key}\n"


def _checklist(host: str, user: str, sources: Mapping[str, Source]) -> str:
    names = ", ".join(sources)
    return f"""The gate of {host}, for the sources {names}. As root on {host}:

1. An account without a password:      useradd --create-home --shell /bin/sh {user}
2. The wrapper, owned by root:         install -o root -g root -m 755 pullagent-gate {WRAPPER_PLACE}
3. The key, not writable by the account:
                                       install -d -o root -g {user} -m 750 ~{user}/.ssh
                                       install -o root -g {user} -m 640 authorized_keys ~{user}/.ssh/authorized_keys
4. The database account, if grants.sql is here (it holds what MySQL and MariaDB each need; each skips the other's):
                                       mysql < grants.sql
5. From the backup server:             pullagent run {host}

Whenever hosts.toml or pullagent changes, render again and repeat step 2: a command the wrapper does not know is
refused with status {REFUSED_STATUS}.
"""
