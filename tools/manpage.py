"""Prints pullagent(1) in roff, from the command line itself and docs/exit_codes.md."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pullagent import __version__
from pullagent.cli.app import whole

ROOT = Path(__file__).parents[1]
ABOUT = """\
It runs on the backup server alone, connects out over SSH to production hosts, runs mysqldump and influxd backup there,
and streams their output through zstd and age into a dated store. A snapshot appears only when it is whole. Every stored
file opens without pullagent: age -d -i KEY FILE | zstd -d."""
REFERENCES = """\
A reference (REF) is HOST/SOURCE@ID, HOST/SOURCE@latest, or a beginning of one such as pavroto-2/agama@2026-11-22."""
SERVICE = """\
pullagent.timer starts pullagent.service at 01:00 UTC each night, pullagent-verify.timer checks the store each week,
pullagent-status.timer looks every hour whether backups are overdue, and pullagent-failure@.service writes into the
journal what failed. The pull key comes to the first as the credential ssh-key, which stands in for
[ssh].identity_file."""
FILES = (
    ("/etc/pullagent/hosts.toml", "What is backed up, and how."),
    ("/etc/pullagent/id_ed25519", "The pull key: root's alone, handed to the unit by systemd."),
    ("/etc/pullagent/known_hosts", "The pinned host keys, written by pullagent trust."),
    ("/srv/pullagent", "The store."),
)
ENVIRONMENT = (
    ("PULLAGENT_CONFIG", "hosts.toml where --config is not given."),
    ("NO_COLOR", "No colours on a terminal."),
    ("CREDENTIALS_DIRECTORY", "Where systemd puts ssh-key."),
)


def escaped(text: str) -> str:
    """Text that roff prints as it is."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^(?=['.])", r"\\&", text, flags=re.MULTILINE)


def entry(head: str, text: str) -> Iterator[str]:
    """A term and what it means."""
    yield from (".TP", f"\\fB{escaped(head)}\\fR", escaped(text) or "\\&")


def usage(parameter: Any) -> str:
    """An option or argument as it is typed."""
    value = parameter.metavar or parameter.name.upper()
    if parameter.param_type_name == "argument":
        return f"{value}{'…' if parameter.nargs == -1 else ''}"
    return ", ".join(parameter.opts) + ("" if parameter.is_flag else f" {value}")


def verbs(command: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every verb by its full name; a group by those within it."""
    for name, inner in command.commands.items():
        if hasattr(inner, "commands"):
            yield from verbs(inner, f"{path}{name} ")
        else:
            yield f"{path}{name}", inner


def verb(name: str, command: Any) -> Iterator[str]:
    """A verb's own section."""
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    words = " ".join(usage(p) if p.required else f"[{usage(p)}]" for p in arguments)
    yield f'.SS "pullagent {escaped(f"{name} {words}".strip())}"'
    yield escaped(command.help or "")
    for parameter in command.params:
        if parameter.name != "help" and parameter.help:
            yield from entry(usage(parameter), parameter.help)


def exit_codes() -> Iterator[tuple[str, str]]:
    """The rows of docs/exit_codes.md."""
    yield from re.findall(r"^\| (\d+) \| (.*) \|$", (ROOT / "docs/exit_codes.md").read_text(), re.MULTILINE)


def page() -> str:
    """The whole page."""
    command = whole()
    lines = [
        f'.TH PULLAGENT 1 "" "pullagent {__version__}" "User Commands"',
        *(".SH NAME", "pullagent \\- a backup agent that pulls"),
        *(".SH SYNOPSIS", "\\fBpullagent\\fR [\\fB\\-\\-config\\fR FILE] VERB \\&..."),
        *(".SH DESCRIPTION", escaped(ABOUT), ".PP", escaped(REFERENCES)),
        ".SH OPTIONS",
    ]
    for parameter in command.params:
        if "completion" not in parameter.name:
            lines += entry(usage(parameter), parameter.help)
    lines.append(".SH VERBS")
    for name, inner in verbs(command):
        lines += verb(name, inner)
    for title, entries in (("EXIT STATUS", exit_codes()), ("ENVIRONMENT", ENVIRONMENT), ("FILES", FILES)):
        lines.append(f'.SH "{title}"')
        for head, text in entries:
            lines += entry(head, text)
    lines += [".SH SERVICES", escaped(SERVICE), ".SH SEE ALSO", "age(1), zstd(1), mysqldump(1), systemd.timer(5)"]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(page(), end="")
