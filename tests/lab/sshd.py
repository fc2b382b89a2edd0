"""A real OpenSSH server on loopback, for the current user."""

import os
import pwd
import signal
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.lab.errors import LabError
from tests.lab.farm import Farm
from tests.lab.keys import public_text, ssh_keypair
from tests.lab.processes import Process, free_port, plain_environment, run, wait_free

PRIVILEGE_SEPARATION = Path("/run/sshd")
DAEMON = "/usr/sbin/sshd"


class Sshd:
    """One server below `directory`; its sessions have an empty HOME and the PATH of `farm`.

    `path`: directories ahead of the usual ones; `env`: further variables of every session; `without`: name
    patterns of system programs that sessions do not find; `more_host_keys`: beside its own; `settings`: lines of
    sshd_config that win over the lab's; `within`: a command line that runs the server's. The port stays the same over
    stop, start and `rekey`.
    """

    def __init__(
        self,
        directory: Path,
        authorized_key: Path,
        path: Sequence[Path] = (),
        env: Mapping[str, str] | None = None,
        without: Sequence[str] = (),
        port: int | None = None,
        more_host_keys: Sequence[Path] = (),
        settings: str = "",
        within: Sequence[str] = (),
    ) -> None:
        self._directory = directory
        self.port = port or free_port()
        self.user = pwd.getpwuid(os.getuid()).pw_name
        self.home = directory / "home"
        self.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.farm = Farm(directory / "path", path, without)
        self.log = directory / "sshd.log"
        self.authorized_keys = directory / "authorized_keys"
        self.authorized_keys.write_text(authorized_key.read_text())
        self._env, self._settings, self._within = dict(env or {}), settings, tuple(within)
        self._more_host_keys = more_host_keys
        self._host_key = ssh_keypair(directory / "host_ed25519")
        self._process = Process()

    @property
    def host_public_key(self) -> str:
        """The host key as `ssh-ed25519 AAAA…`."""
        return public_text(self._host_key)

    def known_hosts_line(self) -> str:
        """The line that pins this server, without line end."""
        return f"[127.0.0.1]:{self.port} {self.host_public_key}"

    @property
    def alive(self) -> bool:
        """Whether it is running."""
        return self._process.alive

    def start(self) -> None:
        """Start, and wait until it greets; LabError with its log otherwise."""
        if os.getuid() == 0:
            # sshd insists on it; the service manager makes it where there is one.
            PRIVILEGE_SEPARATION.mkdir(mode=0o755, exist_ok=True)
        config = self._directory / "sshd_config"
        config.write_text(self._config())
        optional = "PerSourcePenalties no\n"
        if self._accepts(config, optional):
            # From OpenSSH 9.8 a few refused logins would lock all of loopback out for a while.
            config.write_text(optional + self._config())
        wait_free(self.port)
        self._process.start([*self._within, DAEMON, "-D", "-e", "-f", config], self.log, plain_environment(self.home))
        self._process.wait_ready(self._greets, 10, f"sshd on port {self.port}")

    def stop(self) -> None:
        """End the server and every session with all its commands."""
        self._process.stop(5)

    def drop(self, commands: bool = True) -> int:
        """Cut every connection in mid-stream; the server goes on. Returns how many processes were killed.

        With `commands` false only sshd's own processes die, and the remote commands live on as they do when
        a cable is cut: they learn of it when they next write.
        """
        killed: set[int] = set()
        for _ in range(5):
            batch = [pid for pid in self.sessions() if commands or _program_name(pid).startswith("sshd")]
            _send(batch, signal.SIGKILL)
            killed.update(batch)
        return len(killed)

    def freeze(self) -> None:
        """Stop every session without closing it: the connection hangs."""
        _send(self.sessions(), signal.SIGSTOP)

    def thaw(self) -> None:
        """Let frozen sessions go on."""
        _send(self.sessions(), signal.SIGCONT)

    def sessions(self) -> list[int]:
        """The pids of all session processes and of the commands that they run."""
        return self._process.below()

    @property
    def sessions_cpu_s(self) -> float:
        """Processor seconds, user and system, of all sessions that have ended, with the commands that they ran."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        # cutime and cstime, the 16th and 17th field: proc(5)
        return (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")

    def rekey(self) -> None:
        """A new host key on the same port, as a rebuilt VM has one; a running server is restarted."""
        running = self.alive
        self.stop()
        ssh_keypair(self._host_key)
        if running:
            self.start()

    def put_first(self, name: str, script: str) -> Path:
        """See `Farm.put_first`."""
        return self.farm.put_first(name, script)

    def hide(self, name: str) -> None:
        """See `Farm.hide`."""
        self.farm.hide(name)

    def _config(self) -> str:
        session = {"HOME": str(self.home), "PATH": self.farm.path, **self._env}
        for name, value in session.items():
            if '"' in value or "\n" in value or "\\" in value:
                raise LabError(f"sshd's SetEnv cannot carry the value of {name}")
        # Only the first SetEnv line counts, so that all variables stand in one.
        variables = " ".join(f'"{name}={value}"' for name, value in session.items())
        more = "".join(f"HostKey {key}\n" for key in self._more_host_keys)
        return (
            f"{self._settings}Port {self.port}\nListenAddress 127.0.0.1\nHostKey {self._host_key}\n{more}"
            f"PidFile {self._directory / 'sshd.pid'}\nAuthorizedKeysFile {self.authorized_keys}\n"
            "PasswordAuthentication no\nKbdInteractiveAuthentication no\nPubkeyAuthentication yes\n"
            "PermitRootLogin prohibit-password\nUsePAM no\nStrictModes no\nPermitUserRC no\nUseDNS no\n"
            "PrintMotd no\nPrintLastLog no\nMaxStartups 100\nMaxSessions 100\nLoginGraceTime 20\n"
            f"LogLevel VERBOSE\nSubsystem sftp internal-sftp\nSetEnv {variables}\n"
        )

    def _accepts(self, config: Path, lines: str) -> bool:
        """Whether this sshd knows the settings in `lines`; LabError if it does not accept even the rest."""
        run([DAEMON, "-t", "-f", config], env=plain_environment(self.home))
        trial = config.with_name("sshd_config.trial")
        trial.write_text(lines + config.read_text())
        try:
            run([DAEMON, "-t", "-f", trial], env=plain_environment(self.home))
        except LabError:
            return False
        return True

    def _greets(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as connection:
                return connection.recv(4) == b"SSH-"
        except OSError:
            return False


def _send(pids: Sequence[int], number: int) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def _program_name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""
