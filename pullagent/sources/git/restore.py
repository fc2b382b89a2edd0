"""Puts a bundle back as a bare repository on a target, with git there; in a drill makes a working copy of it too."""

import shlex
from collections.abc import Iterator

from pullagent.checks.bundle import refs_of
from pullagent.diagnosis import Diagnosis, bad, doubtful, good, judged
from pullagent.errors import CommandFailed, ContentError, HostError, RestoreError, UsageError
from pullagent.sources.base import Opened, Remote, Restored, RestoreOptions, prologue
from pullagent.sources.git.refs import DEFAULTS, OWN, is_ref
from pullagent.sources.halfway import Halfway

_QUIET = "GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null GIT_TERMINAL_PROMPT=0 git -c safe.directory='*'"


class Restore:
    """One restore of a bundle to `path` on `host`. `rehearsed`: in a drill."""

    def __init__(
        self, host: Remote, snapshot: Opened, options: RestoreOptions, path: str, *, rehearsed: bool = False
    ) -> None:
        if options.into is not None and "/" in options.into:
            raise UsageError(f"--into {options.into!r} is not a name", "it becomes NAME.git beside the true one")
        if options.into is not None:
            path = f"{path.rstrip('/').rpartition('/')[0] or '.'}/{options.into}.git"
        self._host, self._snapshot, self._options = host, snapshot, options
        self._path, self._rehearsed = path.rstrip("/"), rehearsed
        self._refs: dict[str, str] = {}
        self._head: str | None = None

    def preflight(self) -> Iterator[Diagnosis]:
        """git there, what the bundle lists, and what stands in its place."""
        with self._snapshot.chunks("repo.bundle") as chunks:
            listed = refs_of(chunks)
        self._head = _branch_of(listed)
        self._refs = {name: oid for name, oid in listed.items() if not name.startswith(OWN) and is_ref(name)}
        kept = sum(name.startswith(OWN) for name in listed)
        more = f"; {kept} that upstream had given up stay in the bundle" if kept else ""
        yield good("bundle", f"{len(self._refs)} refs{more}")
        yield judged("server", self._version, f"install git on {self._host.name}: apt-get install git")
        yield self._place()

    def _version(self) -> str:
        return self._host.read(f"{prologue('version of git')}git version\n").decode(errors="replace").strip()

    def _state(self) -> str:
        """`free`, `work` (a working copy), `taken`, or `closed` and the directory that may not be written to."""
        path = self._quoted("")
        script = (
            f"{prologue('place of a repository')}if [ -e {self._quoted('/.git')} ]; then echo work; exit; fi\n"
            f"if [ -e {path} ]; then case {path} in .git|*/.git) echo work; exit;; esac; fi\n"
            f"if [ -e {path} ] || [ -L {path} ]; then echo taken; exit; fi\n"
            f'd=$(dirname -- {path}); while ! [ -e "$d" ]; do d=$(dirname -- "$d"); done\n'
            'if [ -d "$d" ] && [ -w "$d" ]; then echo free; else echo "closed $d"; fi\n'
        )
        return self._host.read(script, limit=1 << 16).decode(errors="replace").strip()

    def _place(self) -> Diagnosis:
        try:
            answer = self._state()
        except HostError as error:
            return bad("place", error.message, error.hint)
        if answer == "free":
            return good("place", f"{self._path} is free")
        if answer == "work":
            return bad(
                "place",
                f"{self._path} is a working copy, and a bare repository does not take its place",
                "restore beside it, and fetch from there:  --into NAME   then in it:  git fetch ../NAME.git"
                "\nor move it away first",
            )
        if answer == "taken" and self._options.replace:
            return doubtful(
                "place",
                f"{self._path} is there, and will be replaced",
                "it goes, with its hooks and configuration, once the new one is whole",
            )
        if answer == "taken":
            return bad("place", f"{self._path} is there already", "--replace drops it, once the new one is whole")
        where = answer.removeprefix("closed ")
        said = f"{self._path} cannot be made: this login may not write to {where}"
        return bad("place", said, "log in as who may write there:  --to root@HOST")

    def act(self) -> list[Restored]:
        """Build it beside its place, compare, and only then put it there.

        RestoreError when somebody made something there since `preflight`: an operator may take long to say yes.
        """
        self._refuse_taken()
        halfway = Halfway(self._host.name, self._path)
        with halfway.told():
            halfway.notes.append(f"what stood at {self._path} is still there; remove {self._path}.pullagent-new")
            halfway.changing()
            self._fill()
            found = self._found()
            objects = [Restored(name, "ref", oid, found.get(name)) for name, oid in self._refs.items()]
            if not all(item.equal for item in objects):
                return objects
            if self._rehearsed:
                objects.append(self._checked_out())
            settled = self._settle()
        if not settled:
            raise self._taken()
        return objects

    def _refuse_taken(self) -> None:
        if self._state() in (("work",) if self._options.replace else ("work", "taken")):
            raise self._taken()

    def _taken(self) -> RestoreError:
        return RestoreError(
            f"{self._path} is no longer absent, nothing was changed",
            "somebody made it after the look before the question: what is it? --replace drops it",
        )

    def _fill(self) -> None:
        new, bundle = self._quoted(".pullagent-new"), self._quoted(".pullagent-new/restored.bundle")
        self._run(
            "new repository",
            f'mkdir -p -- "$(dirname -- {new})" && rm -rf -- {new} && {_QUIET} init -q --bare --template= {new}\n',
        )
        with self._snapshot.chunks("repo.bundle") as chunks:
            self._host.send(f"{prologue('bundle of a repository')}umask 077; exec cat >{bundle}\n", chunks)
        head = f"{_QUIET} --git-dir={new} symbolic-ref HEAD {shlex.quote(self._head)} &&\n" if self._head else ""
        self._run(
            "refs of a repository",
            f"{_QUIET} --git-dir={new} fetch -q --no-tags --no-write-fetch-head {bundle}"
            f" '+refs/*:refs/*' '^{OWN}*' &&\n{head}rm -f -- {bundle} &&\n"
            f"{_QUIET} --git-dir={new} fsck --connectivity-only --no-dangling --no-progress\n",
        )

    def _found(self) -> dict[str, str]:
        answer = self._run(
            "refs that came back",
            f"{_QUIET} --git-dir={self._quoted('.pullagent-new')} for-each-ref --format='%(objectname) %(refname)'\n",
        )
        lines = answer.decode(errors="surrogateescape").splitlines()
        return {name: oid for oid, _, name in (line.partition(" ") for line in lines)}

    def _checked_out(self) -> Restored:
        """Whether a clone has every file of the tree."""
        new, work = self._quoted(".pullagent-new"), self._quoted(".pullagent-work")
        answer = self._run(
            "working copy",
            f"rm -rf -- {work} && {_QUIET} clone -q --no-local --template= {new} {work} &&\n"
            f"{_QUIET} -C {work} ls-tree -r HEAD | grep -vc '^160000 ' &&\n"
            f"{_QUIET} -C {work} status --porcelain | wc -l &&\n"
            f"find {work} -path {work}/.git -prune -o ! -type d -print | wc -l && rm -rf -- {work}\n",
        )
        listed, differing, files = answer.decode().split()
        return Restored("working copy", "working copy", int(listed), int(files) - int(differing))

    def _settle(self) -> bool:
        """Put it in its place; False, and all of it removed, where that is taken without --replace."""
        new, path, old = self._quoted(".pullagent-new"), self._quoted(""), self._quoted(".pullagent-old")
        # root restores for whoever pushes there: the owner of what stood there, else of the directory
        parent = f'"$(dirname -- {path})"'
        owner = f"if [ -e {path} ]; then owner={path}; else owner={parent}; fi\n"
        owner += f'[ "$(id -u)" != 0 ] || chown -R --reference="$owner" -- {new} || exit\n'
        if self._options.replace:
            away = f"rm -rf -- {old}; if [ -e {path} ] || [ -L {path} ]; then mv -T -- {path} {old}; fi &&\n"
            move = f"{away}mv -T -- {new} {path} && rm -rf -- {old}\n"
        else:
            # -n replaces nothing, and ends well or badly with that, as the version has it
            taken = f"if [ -e {path} ] || [ -L {path} ]; then rm -rf -- {new}; echo taken; else exit 1; fi"
            move = f"mv -T -n -- {new} {path}\nif [ -e {new} ]; then {taken}; fi\n"
        return self._run("place of the new repository", f"{owner}{move}").strip() != b"taken"

    def discard(self) -> None:
        """Remove the repository that `act` made beside the true one."""
        if self._options.into is None:
            return
        self._run("scratch repository", f"rm -rf -- {self._quoted('')} {self._quoted('.pullagent-new')}\n")

    def _quoted(self, suffix: str) -> str:
        """For a shell; a path in the account's home is relative to it, where every command starts."""
        return shlex.quote(f"{self._path}{suffix}")

    def _run(self, what: str, script: str) -> bytes:
        try:
            return self._host.read(f"{prologue(what)}{script}")
        except CommandFailed as error:
            raise RestoreError(error.message, "look into it there; nothing of what stood there was changed") from error


def _branch_of(listed: dict[str, str]) -> str | None:
    """The branch that HEAD stood for. A bundle tells only its commit: among several the usual names go first."""
    at = [name for name, oid in listed.items() if oid == listed.get("HEAD") and name.startswith("refs/heads/")]
    fallback = [name for name in listed if name.startswith("refs/heads/")]
    for name in (*DEFAULTS, *at):
        if name in at:
            return name
    found = next((name for name in (*DEFAULTS, *fallback) if name in fallback), None)
    if found is not None and not is_ref(found):
        raise ContentError(f"the bundle lists a branch {found[:80]!r}")
    return found
