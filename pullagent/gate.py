"""Renders what a production host needs to let the pull key in, and nothing more; judges what a gate answers. Pure.

The key may run the constant commands of its sources and nothing else: a forced-command wrapper compares what was
asked for, as a whole string, with each of them. `digest` lets the backup server ask whether the wrapper is current.
"""

import hashlib
import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pullagent.errors import CommandFailed, Denied, PullAgentError, UsageError
from pullagent.model import Manner
from pullagent.sources.base import Source
from pullagent.wire.commands import commands_of

DIGEST_COMMAND = "pullagent-gate digest"
REFUSED = "pullagent-gate: refused"
REFUSED_STATUS = 126
WRAPPER, AUTHORIZED_KEYS, GRANTS, SUDOERS, README = (
    "pullagent-gate",
    "authorized_keys",
    "grants.sql",
    "sudoers",
    "README",
)
FILES = (WRAPPER, AUTHORIZED_KEYS, GRANTS, SUDOERS, README)
WRAPPER_PLACE = "/usr/local/lib/pullagent-gate"
_HOME = "/var/lib/pullagent-gate"
_AS_THEY_ARE = Manner()


@dataclass(frozen=True)
class Gate:
    """The files of one host's gate, by name, and the digest that its wrapper answers."""

    files: Mapping[str, str]
    digest: str


def digest_of(commands: Iterable[str]) -> str:
    """SHA-256 in hex over the command list."""
    return hashlib.sha256("\0".join(commands).encode()).hexdigest()


def stale(host: str, commands: Iterable[str], answer: bytes) -> str | None:
    """A warning when `answer`, a gate's to DIGEST_COMMAND, is not the digest of these commands; None when it is."""
    if answer.decode(errors="replace").strip() == digest_of(commands):
        return None
    return f"the gate on {host} was not made from this hosts.toml and version: {renewal(host)}"


def explained(error: PullAgentError, host: str) -> PullAgentError:
    """`error`, or what to do about it where it comes of a command that the gate on `host` refused."""
    cause: BaseException | None = error
    seen: list[BaseException] = []
    # an error that is raised from itself is its own cause
    while cause is not None and cause not in seen:
        seen.append(cause)
        if isinstance(cause, CommandFailed) and cause.status == REFUSED_STATUS and REFUSED in cause.stderr:
            return Denied(
                f"{host}: its gate does not know this command: it is older than hosts.toml or this version",
                renewal(host),
            )
        cause = cause.__cause__
    return error


def renewal(host: str) -> str:
    """What to type to have the present gate on `host`."""
    return f"pullagent gate {host} -o DIR, then copy DIR/{WRAPPER} to {WRAPPER_PLACE} on {host}"


def render(
    host: str,
    user: str,
    sources: Mapping[str, Source],
    public_key: str,
    from_addresses: tuple[str, ...] = (),
    leads_to: tuple[str, ...] = (),
    manner: Manner = _AS_THEY_ARE,
) -> Gate:
    """The wrapper, the authorized_keys line, the database grants, the sudoers lines and a checklist for one host.

    `public_key` is the pull key's public half; with `from_addresses` it may come from these alone.
    `leads_to`: ADDRESS:PORT of the hosts that are reached through this one. `manner`: the host's, for its streams.
    """
    key = " ".join(public_key.split())
    if not key.startswith(("ssh-", "ecdsa-", "sk-")):
        raise UsageError(
            "the pull key's public half is not an SSH public key", "ssh-keygen -y -f the private key shows it"
        )
    commands = commands_of(sources.values(), manner)
    digest = digest_of(commands)
    grants = {name: source.grants(user) for name, source in sources.items()}
    files = {
        WRAPPER: _wrapper(host, commands, digest),
        AUTHORIZED_KEYS: _authorized_key(key, from_addresses, leads_to),
        GRANTS: "".join(f"-- for {name}:\n{text}" for name, text in grants.items() if text),
        SUDOERS: _sudoers(host, user, sources.values()),
    }
    files = {name: text for name, text in files.items() if text}
    return Gate(files | {README: _checklist(host, user, sources, files)}, digest)


def _wrapper(host: str, commands: tuple[str, ...], digest: str) -> str:
    allowed = " \\\n".join(shlex.quote(command) for command in commands)
    # [ x… = x… ] compares bytes; `case` would take settings of the shell, such as whether letters' case matters
    return f"""#!/bin/sh
# pullagent-gate: lets the backup server's key on {host} run these commands and nothing else.
# Rendered by `pullagent gate {host}`; render it again when hosts.toml or pullagent changes.
set -u
LC_ALL=C
export LC_ALL
asked=${{SSH_ORIGINAL_COMMAND-}}
if [ "x$asked" = 'x{DIGEST_COMMAND}' ]; then
    echo {digest}
    exit 0
fi
set -- \\
{allowed}
for allowed; do
    if [ "x$asked" = "x$allowed" ]; then
        # a command gets no variable that the client may have sent: some programs take options from theirs
        exec env -i HOME="$HOME" USER="$USER" LOGNAME="$USER" PATH="$PATH" /bin/sh -c "$allowed"
    fi
done
echo '{REFUSED}' >&2
{{
    shown=$(printf '%s' "$asked" | head -c 200 | tr -c ' -~' '?')
    timeout 5 logger -p auth.warning -t pullagent-gate -- "refused to ${{SSH_CLIENT-?}}: $shown"
}} </dev/null >/dev/null 2>&1
exit {REFUSED_STATUS}
"""


def _authorized_key(key: str, from_addresses: tuple[str, ...], leads_to: tuple[str, ...]) -> str:
    options = ["restrict", f'command="{WRAPPER_PLACE}"']
    if leads_to:
        # forwarding brings listening with it, which can only be bound to one port: one that is of no use
        options += ["port-forwarding", *(f'permitopen="{place}"' for place in leads_to), 'permitlisten="localhost:1"']
    if from_addresses:
        if any(set(a) - set("0123456789abcdefABCDEF.:/*?") for a in from_addresses):
            raise UsageError(f"not addresses: {', '.join(from_addresses)}", "write IP addresses or networks")
        options.append(f'from="{",".join(from_addresses)}"')
    return f"{','.join(options)} {key}\n"


def _sudoers(host: str, user: str, sources: Iterable[Source]) -> str:
    commands = dict.fromkeys(" ".join(map(_literal, argv)) for source in sources for argv in source.as_root())
    if not commands:
        return ""
    # quoted, since a bare ALL or a name in capitals could mean more than this account
    lines = "".join(f'"{user}" ALL=(root:root) NOPASSWD: {command}\n' for command in commands)
    return f"# what the pull key's account on {host} runs as root: these very lines, no other arguments\n{lines}"


def _literal(word: str) -> str:
    """A word of a command line that stands for itself alone in a sudoers file, where `*` and `?` are patterns."""
    return re.sub(r"[*?]", r"\\\g<0>", word)


def _checklist(host: str, user: str, sources: Mapping[str, Source], files: Mapping[str, str]) -> str:
    steps = [
        f"The wrapper, owned by root:\ninstall -o root -g root -m 755 {WRAPPER} {WRAPPER_PLACE}",
        *(_ROOTS_KEY if user == "root" else _ACCOUNT_AND_KEY).format(user=user).split("\n\n"),
    ]
    if GRANTS in files:
        steps.append(
            "The database account (MariaDB and MySQL each run their own lines of it and skip the other's; on MySQL\n"
            "not from a distribution, first: INSTALL PLUGIN auth_socket SONAME 'auth_socket.so'):\n"
            f"mysql <{GRANTS}"
        )
    if SUDOERS in files:
        steps.append(
            "What must be read as root, by sudo (apt-get install sudo, where it is missing):\n"
            f"visudo -cf {SUDOERS} && install -o root -g root -m 440 {SUDOERS} /etc/sudoers.d/pullagent-gate"
        )
    steps += [
        "The client must not choose variables of the session: this should show LANG and LC_* at most, and `no`:\n"
        "sshd -T | grep -i -e acceptenv -e permituserenvironment",
        f"On the backup server:\npullagent run {host}",
    ]
    return (
        f"The gate of {host}, for the sources {', '.join(sources)}. As root on {host}, in this directory:\n\n"
        + "\n".join(_step(number, text) for number, text in enumerate(steps, 1))
        + "\nWhenever hosts.toml or pullagent changes, render again and repeat the steps of the files that changed. A\n"
        f"command that the wrapper does not know is refused with status {REFUSED_STATUS} and a line to syslog:\n\n"
        "    journalctl -t pullagent-gate\n"
    )


_ACCOUNT_AND_KEY = f"""\
An account without a password, which can change nothing in its home:
useradd --system --user-group --password '*' --shell /bin/sh --no-create-home --home-dir {_HOME} {{user}}
install -d -o root -g root -m 755 {_HOME}

The key, which the account can read and not change:
install -d -o root -g {{user}} -m 750 {_HOME}/.ssh
install -o root -g {{user}} -m 640 {AUTHORIZED_KEYS} {_HOME}/.ssh/authorized_keys"""
_ROOTS_KEY = f"""\
The key (hosts.toml logs in as root: an account of its own, such as user = "pullagent", would be allowed less):
cat {AUTHORIZED_KEYS} >>/root/.ssh/authorized_keys"""


def _step(number: int, text: str) -> str:
    head, _, rest = text.partition(":\n")
    said = head.replace("\n", "\n   ")
    return f"{number}. {said}:\n\n" + "".join(f"       {line}\n" for line in rest.splitlines())
