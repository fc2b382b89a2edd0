"""What somebody with a pull key may ask a gate for: shell tricks, and commands that are almost allowed ones."""

import random
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from pullagent import gate


def attempts(commands: Sequence[str], marks: Path) -> list[bytes]:
    """Hundreds of commands that are not among a gate's `commands`, every one of which would leave a mark if it ran."""
    mark = shlex.quote(str(marks / "ran"))
    touch = f"touch {mark}"
    shells = [
        touch,
        f"exec {touch}",
        f"/usr/bin/{touch}",
        f"sh -c {shlex.quote(touch)}",
        f"bash -lc {shlex.quote(touch)}",
    ]
    shells += [
        f"$({touch})",
        f"`{touch}`",
        f"<({touch})",
        f">{mark}",
        f">>{mark}",
        f": >|{mark}",
        f"{{ {touch}; }}",
        f"({touch})",
    ]
    shells += [
        f"eval {touch}",
        f"command {touch}",
        f"env {touch}",
        f"env -S '{touch}'",
        f"nohup {touch}",
        f"setsid {touch}",
    ]
    shells += [
        f"'; {touch}; '",
        f'"; {touch}; "',
        f"'\n{touch}\n'",
        f") ;; *) {touch} ;; esac #",
        f"*) {touch}",
        f"x' ] || {touch} #",
    ]
    shells += [
        f"-c {touch}",
        f"-- {touch}",
        f"! {touch}",
        f"( {touch}",
        f"x = x -o {touch}",
        f"= {touch}",
        f"\\\n{touch}",
    ]
    shells += [
        f"ENV={mark} sh -i",
        f"BASH_ENV=x bash -c '{touch}'",
        f"IFS=x;{touch}",
        f"PATH=/x:$PATH {touch}",
        f"trap '{touch}' EXIT",
    ]
    shells += [
        f"LD_PRELOAD=/tmp/x.so {touch}",
        f"SHELLOPTS=xtrace PS4='$({touch})' bash -c :",
        f"python3 -c 'open({str(marks / 'p')!r}, \"w\")'",
    ]
    shells += [
        f"${{x:-$({touch})}}",
        f"$(({touch}))",
        f"\u202e{touch}",
        f"\u00a0{touch}",
        f"\ufeff{touch}",
        f"\x1b[2J{touch}",
        f"\r{touch}",
    ]
    shells += [
        f"\x07{touch}",
        f"\x7f{touch}",
        f"\x01{touch}",
        f"~root/x;{touch}",
        f"*;{touch}",
        f"?\n{touch}",
        f"[a-z]*;{touch}",
    ]
    shells += [
        "scp -t /",
        "scp -f /etc/passwd",
        "scp -r -p -d -t .",
        "internal-sftp",
        "/usr/lib/openssh/sftp-server",
        "rsync --server . /",
    ]
    shells += [
        "",
        " ",
        "\n",
        "\t",
        "*",
        "?",
        "[",
        "#",
        "'",
        '"',
        "\\",
        "x",
        "$0",
        "$@",
        "$asked",
        "$SSH_ORIGINAL_COMMAND",
        "-x",
        "!",
        "(",
        ")",
        "=",
    ]
    digest = gate.DIGEST_COMMAND
    digests = [
        f"{digest};{touch}",
        f"{digest}\n{touch}",
        f"{digest}&&{touch}",
        f"{digest}|sh",
        f" {digest}",
        f"{digest} ",
        f"{digest}\n",
    ]
    digests += [
        f"{digest}\r",
        digest.upper(),
        digest[:-1],
        digest + "t",
        f"x{digest}",
        f"./{digest}",
        f"{gate.WRAPPER_PLACE} digest",
    ]
    digests += [
        digest.replace(" ", "  "),
        digest.replace(" ", "\t"),
        f"'{digest}'",
        f"{digest} #",
        f"exec {digest}",
        "pullagent-gate",
        "digest",
    ]
    fully, briefly = (commands[0], commands[-1], commands[3]), commands[1:-1]
    near = [change for command in fully for change in nearly(command, touch)]
    near += [change for command in briefly for change in briefly_changed(command, touch)]
    chance = random.Random(3)
    noise = [bytes(chance.choice(range(1, 256)) for _ in range(chance.randrange(1, 400))) for _ in range(110)]
    long = [b"x" * 100_000, commands[0].encode() + b"\n" * 50_000, b"pullagent-gate digest" * 5_000, b"'" * 90_000]
    texts = [text.encode() for text in (*shells, *digests, *near)]
    # an end of \x80 to \xff: no UTF-8, and in the range that dash uses for itself
    broken = [command.encode() + bytes([byte]) for command in commands[:2] for byte in (0x80, 0x81, 0x88, 0xC3, 0xFF)]
    return [
        *dict.fromkeys(
            text for text in (*texts, *noise, *long, *broken) if text.decode(errors="replace") not in commands
        )
    ]


def nearly(command: str, touch: str) -> Iterator[str]:
    """Commands that begin or end like an allowed one, or hold it."""
    yield from (
        f"{head}{command}" for head in (" ", "\n", "\t", ":;", "\\", f"{touch};", f"{touch}\n", "x=1 ", "env ", "exec ")
    )
    yield from (
        f"{command}{tail}"
        for tail in (" ", "\n", "\t", ";", "\r", "#", " --x", f";{touch}", f"\n{touch}", f"&{touch}", f"|{touch}", "\\")
    )
    yield from (
        command[:-1],
        command[1:],
        command.swapcase(),
        command * 2,
        command.replace("\n", "\r\n"),
        command.splitlines()[0],
    )
    yield from (
        f"'{command}'",
        f'"{command}"',
        f"sh -c {shlex.quote(command)}",
        f"$({command})",
        f"({command})",
        f"{{ {command}\n}}",
    )
    yield from (
        command.replace(" ", "  ", 1),
        command.replace("\n", "\n\n", 1),
        command.replace("\n", f"\n{touch}\n", 1),
        command.replace("a", "?"),
    )


def briefly_changed(command: str, touch: str) -> Iterator[str]:
    """A few of these, where there are many commands."""
    yield from (f"{command} ", f"{command}\n", f"{command};{touch}", f"{touch};{command}", command[:-1], command[1:])
