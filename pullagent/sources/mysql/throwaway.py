"""A throwaway MySQL or MariaDB server for a drill: its programs, its empty data directory, its command line.

It reads no option file, listens on no network, and may neither load nor write files: `secure_file_priv` is an empty
directory, and `plugin_dir` holds nothing but a login plugin that restored accounts may name.
"""

import shlex
from pathlib import Path

from pullagent.errors import CommandFailed, SourceError
from pullagent.sources.base import Machine
from pullagent.sources.mysql.commands import Commands

# a library with nothing in it that SQL could call
_LOGIN_PLUGINS = {True: "auth_ed25519.so", False: "auth_socket.so"}
# server, client and dump program, by whether they are MariaDB's
_NAMES = {
    True: (("mariadbd", "mysqld"), ("mariadb", "mysql"), ("mariadb-dump", "mysqldump")),
    False: (("mysqld",), ("mysql",), ("mysqldump",)),
}
_INSTALLERS = ("mariadb-install-db", "mysql_install_db")


def start(machine: Machine, *, mariadb: bool) -> tuple[str, str]:
    """Start it; its socket and its version. SourceError where its programs are missing."""
    server, client, dump = (_program(machine, names, mariadb=mariadb) for names in _NAMES[mariadb])
    for name, program in (("mariadb", client), ("mariadb-dump", dump)):
        # the first names that commands look for: a client of the other kind may be installed too
        machine.offer(name, program)
    data, socket = machine.directory / "db", str(machine.directory / "socket")
    option_file = f"[client]\nuser=root\npassword=\nhost=localhost\nprotocol=socket\nsocket={socket}\n"
    machine.send("cat >.my.cnf", iter([option_file.encode()]))
    plugin = _login_plugin(machine, server, mariadb=mariadb)
    install = shlex.join(_install(machine, server, data, mariadb=mariadb))
    machine.read(f"{install} >log 2>&1 || {{ s=$?; tail -c 2048 log >&2; exit $s; }}")
    commands = Commands((), socket)
    version = commands.query("SELECT VERSION()")
    machine.serve(_command_line(machine, server, data, socket, plugin, mariadb=mariadb), version)
    return socket, machine.read(version).decode(errors="replace").strip()


def _program(machine: Machine, names: tuple[str, ...], *, mariadb: bool) -> Path:
    """The first of these programs that is of the wanted kind, as it says itself."""
    for name in names:
        for file in machine.programs(name):
            try:
                said = machine.read(f"{shlex.quote(str(file))} --no-defaults --version").decode(errors="replace")
            except CommandFailed:
                continue
            if ("MariaDB" in said) == mariadb:
                return file
    kind, package = ("MariaDB", "mariadb-server") if mariadb else ("MySQL", "mysql-server mysql-client")
    raise SourceError(
        f"there is no program {names[0]} of {kind} here that a throwaway server's account may run",
        f"apt-get install {package}, or drill on another host:  --to HOST",
    )


def _login_plugin(machine: Machine, server: Path, *, mariadb: bool) -> str | None:
    name = _LOGIN_PLUGINS[mariadb]
    asked = f"{shlex.quote(str(server))} --no-defaults --verbose --help 2>/dev/null | sed -n 's/^plugin-dir  *//p'"
    found = Path(machine.read(asked).decode(errors="replace").strip() or "/") / name
    if not found.is_file():
        return None
    (machine.plugins / name).symlink_to(found)
    return name


def _install(machine: Machine, server: Path, data: Path, *, mariadb: bool) -> list[str]:
    """What makes an empty data directory, in which root logs in without a password: its socket is nobody else's."""
    if not mariadb:
        return [str(server), "--no-defaults", "--initialize-insecure", f"--datadir={data}"]
    installers = [file for name in _INSTALLERS for file in machine.programs(name)]
    if not installers:
        raise SourceError(f"there is no program {_INSTALLERS[0]} here", "apt-get install mariadb-server")
    options = ["--skip-test-db", "--skip-name-resolve", "--auth-root-authentication-method=normal"]
    return [str(installers[0]), "--no-defaults", f"--datadir={data}", *options]


def _command_line(
    machine: Machine, server: Path, data: Path, socket: str, plugin: str | None, *, mariadb: bool
) -> list[str]:
    alone = [] if mariadb else ["--mysqlx=OFF", "--auto-generate-certs=OFF"]
    return [
        str(server),
        "--no-defaults",
        f"--datadir={data}",
        f"--socket={socket}",
        f"--tmpdir={machine.directory / 'tmp'}",
        f"--pid-file={machine.directory / 'pid'}",
        "--skip-networking",
        "--skip-name-resolve",
        "--skip-log-bin",
        "--local-infile=0",
        f"--secure-file-priv={machine.empty}",
        f"--plugin-dir={machine.plugins}",
        # restored events would change what was restored
        "--event-scheduler=OFF",
        *([f"--plugin-load-add={plugin}"] if plugin else []),
        *alone,
    ]
