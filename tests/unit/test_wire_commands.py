"""The shell around a stream, run by every shell that is here: statuses, signals, descriptors, priorities."""

import os
import select
import shutil
import subprocess
from pathlib import Path

import pytest

from pullagent.model import Manner
from pullagent.wire.commands import FAILED_STATUS, LINK, LINK_BYTES, VERSION, commands_of, questions, streamed
from tests.contract.kinds import EXAMPLES, build

# dash and bash are what Debian has as sh; the others are tried where they are installed
SHELLS = [["dash"], ["bash"], ["bash", "--posix"], ["busybox", "sh"], ["mksh"], ["ksh93"], ["zsh", "--emulate", "sh"]]
each_shell = pytest.mark.parametrize(
    "shell", [pytest.param(s, marks=pytest.mark.skipif(not shutil.which(s[0]), reason=f"no {s[0]}")) for s in SHELLS],
    ids=" ".join,
)  # fmt: skip
DUMP = "# pullagent: dump of x\nLC_ALL=C; export LC_ALL\n"


def ran(
    shell: list[str], body: str, *, packed: bool = True, nice: bool = False, path: str = ""
) -> "subprocess.CompletedProcess[bytes]":
    """How a stream of these lines ends; `path` stands ahead of PATH."""
    command = streamed(DUMP + body, nice=nice, packed=packed)
    env = {"PATH": f"{path}:{os.environ['PATH']}" if path else os.environ["PATH"]}
    program = shutil.which(shell[0]) or shell[0]
    return subprocess.run(
        [program, *shell[1:], "-c", command],
        stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=30, env=env,
    )  # fmt: skip


def plain(frame: bytes) -> bytes:
    """What the zstd program makes of it; CalledProcessError when it is not whole."""
    return subprocess.run(["zstd", "-q", "-d", "-c"], input=frame, capture_output=True, check=True).stdout


@each_shell
@pytest.mark.parametrize(
    ("body", "status", "out", "err"),
    [
        ("echo content; echo word >&2", 0, b"content\n", b"word\n"),
        (":", 0, b"", b""),
        ("cat; echo read", 0, b"read\n", b""),
        ("echo half; exit 1", 1, b"half\n", b""),
        ("echo half; exec sh -c 'echo no >&2; exit 7'", 7, b"half\n", b"no\n"),
        ("d=$(command -v absent) || { echo 'none here' >&2; exit 127; }\nexec \"$d\"", 127, b"", b"none here\n"),
        ("q() { echo \"$1\"; }\nq a || exit\ncase a in a) q b ;; *) exit 3 ;; esac", 0, b"a\nb\n", b""),
        ("sleep 0.1 & echo content; exit 4", 4, b"content\n", b""),
    ],
    ids=["good", "empty", "input", "status 1", "exec", "missing", "functions", "left behind"],
)  # fmt: skip
def test_the_status_is_the_dumps(shell: list[str], body: str, status: int, out: bytes, err: bytes) -> None:
    """Behind the compressor as without it: status, standard error, and a whole frame of what came."""
    done = ran(shell, body)
    assert (done.returncode, plain(done.stdout), done.stderr) == (status, out, err)
    bare = ran(shell, body, packed=False)
    assert (bare.returncode, bare.stdout, bare.stderr) == (status, out, err)


@each_shell
@pytest.mark.parametrize("signal", ["KILL", "TERM", "HUP", "SEGV"])
def test_a_dump_that_is_killed(shell: list[str], signal: str) -> None:
    """By a signal: 128 and its number, also where the shell counts otherwise, and never a status that tar may have."""
    number = {"KILL": 9, "TERM": 15, "HUP": 1, "SEGV": 11}[signal]
    # what whoever runs the tests has them ignore (nohup does) no shell could undo
    done = ran(shell, f"echo half; exec env --default-signal=HUP sh -c 'kill -{signal} $$'")
    assert (done.returncode, plain(done.stdout)) == (128 + number, b"half\n")


@each_shell
def test_a_trap_is_still_run(shell: list[str], tmp_path: Path) -> None:
    """What a source cleans up on its way out is cleaned up, and `$$` is a living process's as long as it works."""
    body = (
        f"d=$(mktemp -d '{tmp_path}'/x.$$.XXXXXX) || exit\ntrap 'rm -rf \"$d\"' EXIT\n"
        "trap 'exit 143' HUP INT TERM PIPE\nkill -0 $$ || exit 9\nseq 100000; false"
    )
    done = ran(shell, body)
    assert (done.returncode, plain(done.stdout)[-7:], done.stderr) == (1, b"100000\n", b"")
    assert list(tmp_path.iterdir()) == []


@each_shell
@pytest.mark.parametrize(
    ("zstd", "status"),
    [
        ("head -c 1000 >/dev/null; kill -9 $$", 137),
        ("exit 1", 1),
        ('"$ZSTD" "$@"; exit 5', 5),
        ("exec absent", 127),
    ],
    ids=["killed", "at once", "at its end", "missing"],
)
def test_a_compressor_that_fails(shell: list[str], tmp_path: Path, zstd: str, status: int) -> None:
    """It is named, with a status of its own, whether the dump fails with it or not, or because of it."""
    program = tmp_path / "zstd"
    program.write_text(f"#!/bin/sh\nZSTD={shutil.which('zstd')}\n{zstd}\n")
    program.chmod(0o755)
    # ksh counts signals from 256
    told = 256 + 9 if shell[0] == "ksh93" and status == 137 else status
    for body in ("yes | head -c 1000000; exit 0", "echo half; exit 2", "exit 1"):
        done = ran(shell, body, path=str(tmp_path))
        assert done.returncode == FAILED_STATUS
        assert f"pullagent: zstd ended with status {told}\n".encode() in done.stderr


@each_shell
def test_a_reader_that_goes_away(shell: list[str]) -> None:
    """When the connection is gone all of it ends, the dump too, and not with 0."""
    command = streamed(DUMP + "cat /dev/urandom", nice=True, packed=True)
    program = shutil.which(shell[0]) or shell[0]
    process = subprocess.Popen(
        [program, *shell[1:], "-c", command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.read(100_000)
    process.stdout.close()
    try:
        assert process.wait(20) == FAILED_STATUS
    finally:
        process.kill()
        process.communicate()


@each_shell
def test_low_priority(shell: list[str]) -> None:
    """The dump and the compressor are nice; without these programs on the host, nothing is said and all goes on."""
    body = "nice; ionice 2>/dev/null || echo 'best-effort: prio 7'"
    done = ran(shell, body, nice=True)
    assert (plain(done.stdout), done.stderr) == (b"10\nbest-effort: prio 7\n", b"")
    assert ran(shell, "nice", nice=True, packed=False).stdout == b"10\n"
    usual = os.getpriority(os.PRIO_PROCESS, 0)
    assert ran(shell, "nice", nice=False, packed=False).stdout == b"%d\n" % usual


@each_shell
def test_a_host_without_renice(shell: list[str], tmp_path: Path) -> None:
    """Neither renice nor ionice is there: not a word, and the same end."""
    for name in ("echo", "zstd"):
        (tmp_path / name).symlink_to(shutil.which(name) or name)
    command = streamed(DUMP + "echo content; exit 3", nice=True, packed=True)
    done = subprocess.run(
        [shutil.which(shell[0]) or shell[0], *shell[1:], "-c", command],
        capture_output=True, check=False, env={"PATH": str(tmp_path)}, timeout=20,
    )  # fmt: skip
    assert (done.returncode, plain(done.stdout), done.stderr) == (3, b"content\n", b"")


def test_no_descriptor_is_handed_on() -> None:
    """A dump finds its three, as without a compressor: nothing that it leaves behind can hold the stream open."""
    done = ran(["dash"], "ls /proc/self/fd")
    # the fourth is the directory that ls reads
    assert plain(done.stdout) == b"0\n1\n2\n3\n"


@pytest.mark.parametrize("wire", ["plain", "zstd", "auto"])
def test_commands_of_a_host(wire: str) -> None:
    """What a gate allows: streams in the ways that a pull may ask for, questions as they are, nothing twice."""
    source = build("mysql", EXAMPLES["mysql"].least)
    manner = Manner(wire, nice=True)  # type: ignore[arg-type]
    commands = commands_of([source, source], manner)
    assert len(set(commands)) == len(commands)
    assert set(source.commands()) - set(source.streams()) <= set(commands)
    assert not set(source.streams()) & set(commands)
    packed = {streamed(c, nice=True, packed=True) for c in source.streams()}
    bare = {streamed(c, nice=True, packed=False) for c in source.streams()}
    assert (packed <= set(commands), bare <= set(commands)) == (wire != "plain", wire != "zstd")
    assert set(questions(manner)) == {"plain": set(), "zstd": {VERSION}, "auto": {VERSION, LINK}}[wire]
    assert set(questions(manner)) <= set(commands)


def test_as_they_are() -> None:
    """Without compression and priority the commands are the sources' own."""
    source = build("influxdb", EXAMPLES["influxdb"].least)
    assert commands_of([source], Manner()) == source.commands()


def test_the_first_line_stays_first() -> None:
    """It names the command to logs and messages."""
    for packed in (False, True):
        assert streamed(DUMP + "true", nice=True, packed=packed).startswith("# pullagent: dump of x\n")


def test_what_a_dump_has_written_comes_while_it_goes_on() -> None:
    """A dump that stands still shows by its silence, and a slow one by what it sends: zstd keeps little to itself."""
    body = "head -c 240000 /dev/urandom | od -A n -t x1; exec sleep 60"
    with subprocess.Popen(
        ["sh", "-c", streamed(DUMP + body, nice=False, packed=True)],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        came = 0
        try:
            while came < 200_000 and select.select([process.stdout], [], [], 20)[0]:
                came += len(os.read(process.stdout.fileno(), 1 << 16))
        finally:
            os.killpg(process.pid, 9)
    assert came >= 200_000


def test_a_version_that_does_not_know_the_options(tmp_path: Path) -> None:
    """It is found out by the question, before a dump depends on it."""
    program = tmp_path / "zstd"
    program.write_text(
        "#!/bin/sh\nfor o; do case $o in --version) echo v1.3.3; exit ;;"
        " --single-thread) echo 'Incorrect parameters' >&2; exit 1 ;; esac; done\n"
    )
    program.chmod(0o755)
    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(["sh", "-c", VERSION], capture_output=True, check=False, env=env)
    assert (done.returncode, done.stdout, done.stderr) == (1, b"", b"Incorrect parameters\n")


def test_a_host_without_the_program_says_so(tmp_path: Path) -> None:
    """By the status that shells have for it."""
    done = subprocess.run(["/bin/sh", "-c", VERSION], capture_output=True, check=False, env={"PATH": str(tmp_path)})
    assert done.returncode == 127


def test_questions_answer() -> None:
    """The compressor's version, and as many zeros as were asked for."""
    assert b"v1." in subprocess.run(["sh", "-c", VERSION], capture_output=True, check=True).stdout
    assert len(subprocess.run(["sh", "-c", LINK], capture_output=True, check=True).stdout) == LINK_BYTES
