"""Programs of the production host that lie, cut, die, or wait for a sign."""

from pathlib import Path

from tests.faults.bench import Bench

DUMPERS = ("mariadb-dump", "mysqldump")
_ASKED_OTHERWISE = 'case "$*" in *--databases*) ;; *) exec {real} "$@" ;; esac\n'
HALF = '{real} "$@" >{dir}/dump; head -c 200000 {dir}/dump; rm -f {dir}/dump; touch {dir}/half; '
"""For `Dumper.says`: half a dump, and a sign that it was sent."""


class Dumper:
    """The dump program of a bench's host, behind a script."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self.directory = bench.directory / "dumper"
        self.directory.mkdir(exist_ok=True)

    def says(self, body: str) -> None:
        """Every dump is what `body` writes, a bash script; {real} is the true program, {dir} a place for signs."""
        for name in DUMPERS:
            try:
                real = self._bench.host.sshd.farm.real(name)
            except KeyError:
                continue
            script = "#!/bin/bash\n" + _ASKED_OTHERWISE + body + "\n"
            text = script.replace("{real}", str(real)).replace("{dir}", str(self.directory))
            self._bench.host.sshd.put_first(name, text)

    def file(self, name: str) -> Path:
        """A file in {dir}."""
        return self.directory / name

    def whole(self) -> bytes:
        """What an honest dump is at present, kept in {dir}/whole for scripts."""
        self.says('{real} "$@" >{dir}/whole.new && mv {dir}/whole.new {dir}/whole && cat {dir}/whole')
        self._bench.run("run", "pavroto-2/agama").succeeded()
        return self.file("whole").read_bytes()
