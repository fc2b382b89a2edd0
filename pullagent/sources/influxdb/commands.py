"""The shell that the influxdb source sends: constants given its keys in hosts.toml. Pure."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from pullagent.sources.base import prologue

COUNT_LIMIT_S = 120
_PROBE_LIMIT_S = 5
# a CSV row's first field, without CSV's quotes, escaped for double quotes in InfluxQL
_TO_IDENTIFIER = r"""-e '/^".*"$/{s/^"//;s/"$//;s/""/"/g;}' -e 's/\\/\\\\/g' -e 's/"/\\"/g'"""


@dataclass(frozen=True)
class Commands:
    """The commands for one set of databases on one server; ports as HOST:PORT."""

    databases: tuple[str, ...]
    config_files: tuple[str, ...]
    env_file: str | None
    api_port: str
    backup_port: str
    staging: str
    sudo: bool = False

    def all_of_a_pull(self) -> tuple[str, ...]:
        """Every command that a pull or a look at its host can send."""
        pull = (self.probe(), self.inventory(), self.backup(), self.empty_shards(), self.configuration())
        return *pull, self.existing(), self.space()

    def _prologue(self, what: str) -> str:
        """What every command begins with: its name, and `q FORMAT QUERY`."""
        host, _, port = self.api_port.rpartition(":")
        names = ", ".join(self.databases)
        login = ""
        if self.env_file:
            login = f". {shlex.quote(self.env_file)} || exit\nexport INFLUX_USERNAME INFLUX_PASSWORD\n"
        return (
            f"{prologue(f'{what} of {names}')}{login}"
            f'q() {{ influx -host {host} -port {port} -format "$1" -execute "$2"; }}\n'
        )

    def _private_directory(self, what: str = "influxdb") -> str:
        """A fresh `$d`, gone on every way out; those of shells that were killed are swept first."""
        prefix = self._prefix(what)
        return (
            f"umask 077\nfor old in {prefix}*; do\n"
            '  [ -d "$old" ] && [ -O "$old" ] || continue\n'
            f'  pid=${{old#{prefix}}}; kill -0 "${{pid%%.*}}" 2>/dev/null || rm -rf "$old"\ndone\n'
            f"d=$(mktemp -d {prefix}$$.XXXXXX) || exit\n"
            "trap 'rm -rf \"$d\"' EXIT\ntrap 'exit 143' HUP INT TERM PIPE\n"
        )

    def _prefix(self, what: str) -> str:
        return shlex.quote(f"{self.staging.rstrip('/')}/pullagent-{what}.")

    def probe(self) -> str:
        # a closed port makes `influxd backup` try for minutes before it fails
        address = self.backup_port.replace(":", "/")
        return (
            self._prologue("version and ports")
            + "command -v influx >/dev/null && command -v influxd >/dev/null || "
            + "{ echo 'no influx or influxd program here' >&2; exit 127; }\n"
            + f"timeout {_PROBE_LIMIT_S} bash -c ': </dev/tcp/{address}' || "
            + f"{{ echo 'backup port {self.backup_port} does not answer' >&2; exit 69; }}\n"
            + "q json 'SHOW DIAGNOSTICS' && influxd version"
        )

    def existing(self) -> str:
        """The server's databases."""
        return self._prologue("existence") + "q json 'SHOW DATABASES'"

    def space(self) -> str:
        """Free blocks of the staging directory and their size in bytes, if it can be written to."""
        place = shlex.quote(self.staging)
        return (
            prologue(f"free space of {', '.join(self.databases)}")
            + f"[ -d {place} ] && [ -w {place} ] && [ -x {place} ] || "
            + f"{{ printf '%s is no directory to write to\\n' {place} >&2; exit 73; }}\n"
            + f"stat -f -c '%a %S' {place}"
        )

    def inventory(self) -> str:
        host, _, port = self.api_port.rpartition(":")
        command = self._prologue("shards and point counts")
        command += (
            "printf 'databases\\t' && q json 'SHOW DATABASES' && printf 'shards\\t' && q json 'SHOW SHARDS' || exit\n"
        )
        for database in self.databases:
            # a database that is not there has no policies, and no points
            policies = shlex.quote(f'SHOW RETENTION POLICIES ON "{database}"')
            command += (
                f"list=$(q csv {policies} 2>&1) || case $list in *'database not found'*) list='' ;;"
                " *) printf '%s\\n' \"$list\" >&2; exit 1 ;; esac\n"
                r"""printf '%s\n' "$list" | sed -e '1d' -e '/^$/d' -e 's/\(,[^,]*\)\{4\}$//' """
                f"{_TO_IDENTIFIER} | while IFS= read -r rp; do\n"
                f"  printf 'points\\t%s\\t%s\\t' {shlex.quote(database)} \"$rp\"\n"
                f"  timeout {COUNT_LIMIT_S} influx -host {host} -port {port} -format json -execute "
                f'"SELECT COUNT(*) FROM \\"{database}\\".\\"$rp\\"./.*/"\n'
                '  s=$?; [ "$s" = 124 ] && echo slow || [ "$s" = 0 ] || exit "$s"\n'
                "done || exit\n"
            )
        return command

    def backup(self) -> str:
        command = self._prologue("backup") + self._private_directory()
        for database in self.databases:
            quoted = shlex.quote(database)
            command += (
                f'mkdir "$d"/{quoted} && '
                f'influxd backup -portable -host {self.backup_port} -database {quoted} "$d"/{quoted} >&2 || exit\n'
            )
        return command + 'tar -C "$d" -cf - ' + " ".join(shlex.quote(d) for d in self.databases)

    def empty_shards(self) -> str:
        """Reads shard ids, a line each, and writes those that hold no point.

        The ids come by standard input because a gate allows constant commands only; they may be digits alone.
        """
        count = "SELECT COUNT(*) FROM \\\"$db\\\".\\\"$rp\\\"./.*/ WHERE time >= '$from' AND time < '$to'"
        return (
            self._prologue("empty shards")
            + "all=$(q csv 'SHOW SHARDS') || exit\n"
            + "while IFS= read -r id; do\n"
            + "  case $id in ''|*[!0-9]*) exit 64 ;; esac\n"
            + '  row=$(printf \'%s\\n\' "$all" | grep "^[^,]*,$id,") || { echo "$id"; continue; }\n'
            # name,id,database,retention_policy,shard_group,start_time,end_time,expiry_time,owners
            + "  from=$(printf '%s' \"$row\" | sed 's/.*,\\([^,]*\\),[^,]*,[^,]*,[^,]*$/\\1/')\n"
            + "  to=$(printf '%s' \"$row\" | sed 's/.*,\\([^,]*\\),[^,]*,[^,]*$/\\1/')\n"
            + "  db=$(printf '%s' \"$row\" | cut -d, -f3)\n"
            + "  rp=$(printf '%s\\n' \"$row\" | sed -e 's/^[^,]*,[^,]*,[^,]*,//' -e 's/\\(,[^,]*\\)\\{5\\}$//'"
            + f" {_TO_IDENTIFIER})\n"
            + f'  found=$(q json "{count}") || exit\n'
            + "  case $found in *'\"series\"'*) ;; *) printf '%s\\n' \"$id\" ;; esac\n"
            + "done"
        )

    def configuration(self) -> str:
        return (
            self._prologue("configuration")
            + self._private_directory()
            + 'mkdir "$d/queries" && cd "$d/queries" || exit\n'
            + "q json 'SHOW USERS' >users.json && q json 'SHOW CONTINUOUS QUERIES' >continuous_queries.json || exit\n"
            + "list=$(q csv 'SHOW USERS') || exit\n"
            + f"printf '%s\\n' \"$list\" | sed -e '1d' -e '/^$/d' -e 's/,[a-z]*$//' {_TO_IDENTIFIER}"
            + " | while IFS= read -r u; do\n"
            + '  printf \'%s\\t\' "$u" && q json "SHOW GRANTS FOR \\"$u\\"" || exit\ndone >grants.tsv || exit\n'
            + (self._joined_as_root() if self.sudo else 'tar -C "$d" -cf - queries' + self._files())
        )

    @property
    def read_as_root(self) -> tuple[str, ...]:
        """What sudo must allow, word by word."""
        return ("/usr/bin/tar", "-cf", "-", "-C", "/", "--", *(f.lstrip("/") for f in self.config_files))

    def _files(self) -> str:
        return " -C / " + " ".join(shlex.quote(f.lstrip("/")) for f in self.config_files) if self.config_files else ""

    def _joined_as_root(self) -> str:
        return (
            f'sudo -n {shlex.join(self.read_as_root)} >"$d/files.tar" || exit\n'
            'tar -C "$d" -cf "$d/config.tar" queries && tar -Af "$d/config.tar" "$d/files.tar" && cat "$d/config.tar"'
        )

    def query(self, query: str) -> str:
        return self._prologue("query") + f"q json {shlex.quote(query)}"

    def statements(self) -> str:
        """Statements by standard input, parted by semicolons."""
        host, _, port = self.api_port.rpartition(":")
        return self._prologue("statements") + f"influx -host {host} -port {port} -format json"

    def restore(self, names: Mapping[str, str]) -> str:
        """Restores databases from a tar on standard input; `names` maps each in it to its name here."""
        command = self._prologue("restore") + self._private_directory("restore") + 'tar -C "$d" -xf - || exit\n'
        for database, target in names.items():
            quoted = shlex.quote(database)
            there = shlex.quote(f'SHOW RETENTION POLICIES ON "{target}"')
            new = f"-newdb {shlex.quote(target)} " if target != database else ""
            command += (
                f'influxd restore -portable -host {self.backup_port} -db {quoted} {new}"$d"/{quoted} >&2 || {{ s=$?\n'
            )
            # for a database without shards it makes the database, and yet says that it failed
            command += (
                f'  ls "$d"/{quoted}/*.tar.gz >/dev/null 2>&1 && exit "$s"; q json {there} >/dev/null || exit\n}}\n'
            )
        return command

    def end_restores(self) -> str:
        """Ends what restores of this login still do there, and removes their directories."""
        prefix = self._prefix("restore")
        return (
            self._prologue("end of restores")
            + f'for d in {prefix}*; do\n  [ -d "$d" ] && [ -O "$d" ] || continue\n'
            + f'  pid=${{d#{prefix}}}; pid=${{pid%%.*}}; case $pid in ""|*[!0-9]*) continue ;; esac\n'
            # the shell ends by its trap as soon as what it waits for has ended
            + '  kill -TERM "$pid" 2>/dev/null && pkill -TERM -P "$pid"\n'
            + '  n=0; while kill -0 "$pid" 2>/dev/null && [ $n -lt 50 ]; do sleep 0.1; n=$((n + 1)); done\n'
            + '  kill -0 "$pid" 2>/dev/null || rm -rf "$d"\ndone'
        )

    def look_at(self, path: str) -> str:
        """A word on a file (there, missing, unreadable), and what it holds."""
        return (
            prologue("look at a configuration file")
            + f"f={shlex.quote(path)}\n"
            + 'if [ ! -e "$f" ]; then echo missing; elif [ -r "$f" ]; then echo there; cat -- "$f"; '
            + "else echo unreadable; fi"
        )

    def may_write(self, path: str) -> str:
        """Ends well if a file could be put in place: its directory, or what is there of it, can be written to."""
        return (
            prologue("look at a configuration file")
            + f"d=$(dirname -- {shlex.quote(path)})\n"
            + 'while [ ! -e "$d" ]; do d=$(dirname -- "$d"); done; [ -d "$d" ] && [ -w "$d" ]'
        )

    def put(self, path: str, sha256: str, mode: int) -> str:
        """Puts standard input in a file's place if it has this hash; what stood there stays as `.before-restore`."""
        return (
            prologue("put a configuration file in place")
            + f'f={shlex.quote(path)}; umask 022; mkdir -p -- "$(dirname -- "$f")" || exit\n'
            + 'umask 077; t=$(mktemp -- "$f.XXXXXX") || exit\ntrap \'rm -f -- "$t"\' EXIT\n'
            + 'cat >"$t" && [ "$(sha256sum <"$t" | cut -c1-64)" = '
            + sha256
            + " ] || "
            + "{ echo 'it did not arrive whole' >&2; exit 65; }\n"
            + 'if [ -e "$f" ]; then\n  cp -p --backup=numbered -- "$f" "$f.before-restore" || exit\n'
            + '  chmod --reference="$f" -- "$t" && chown --reference="$f" -- "$t" || exit\n'
            + f'else chmod {mode:o} -- "$t" || exit; fi\nmv -f -- "$t" "$f"'
        )
