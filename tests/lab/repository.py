"""A git repository for a test, and a working copy that pushes to it; nothing of the developer's configuration."""

import os
from pathlib import Path

from tests.lab.processes import plain_environment, run

_ALONE = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_TERMINAL_PROMPT": "0"}
# always the same objects
_WHO = {
    f"GIT_{who}_{key}": value
    for who in ("AUTHOR", "COMMITTER")
    for key, value in (("NAME", "Operator"), ("EMAIL", "ops@pavroto.ttu"), ("DATE", "2026-11-01T12:00:00Z"))
}


class Repository:
    """A bare repository at `bare`, whose branch main has a playbook in it; `work` is a working copy beside it."""

    def __init__(self, bare: Path) -> None:
        self.bare, self.work = bare, bare.with_name(f"{bare.name}-work")
        bare.parent.mkdir(parents=True, exist_ok=True)
        self._run("init", "--quiet", "--bare", "--initial-branch=main", bare, cwd=bare.parent)
        self._run("clone", "--quiet", bare, self.work, cwd=bare.parent)
        self.git("checkout", "--quiet", "-b", "main")
        self.commit("site.yml", "- hosts: all\n  roles: [base]\n")
        self.commit("roles/base/tasks/main.yml", "- ansible.builtin.ping:\n")
        self.git("push", "--quiet", "origin", "main")

    def git(self, *arguments: str | Path) -> str:
        """Run git in the working copy; what it says."""
        return self._run(*arguments, cwd=self.work)

    def there(self, *arguments: str | Path) -> str:
        """Run git on the bare repository."""
        return self._run(f"--git-dir={self.bare}", *arguments, cwd=self.bare)

    def commit(self, name: str, text: str) -> str:
        """A commit with one file; its name."""
        file = self.work / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        self.git("add", name)
        self.git("commit", "--quiet", "--message", f"Write {name}")
        return self.git("rev-parse", "HEAD").strip()

    def enlarge(self) -> None:
        """A file of 300 kB that nothing makes smaller, pushed to main."""
        (self.work / "large").write_bytes(os.urandom(300_000))
        self.commit("site.yml", "- hosts: large\n")
        self.git("add", "large")
        self.git("commit", "--quiet", "--message", "Large")
        self.git("push", "--quiet", "origin", "main")

    def decorate(self) -> None:
        """A second branch, tags of both kinds, and a note."""
        self.git("tag", "v1")
        self.git("tag", "--annotate", "--message", "Second", "v2")
        self.git("notes", "add", "--message", "seen")
        self.git("branch", "feature")
        self.git("push", "--quiet", "origin", "feature", "v1", "v2", "refs/notes/commits")

    def refs(self, directory: Path | None = None) -> dict[str, str]:
        """Every ref of the bare repository, or of another, and what it leads to."""
        where = f"--git-dir={directory or self.bare}"
        answer = self._run(where, "for-each-ref", "--format=%(refname) %(objectname)", cwd=self.bare)
        return dict(line.split(" ") for line in answer.splitlines())

    def _run(self, *arguments: str | Path, cwd: Path) -> str:
        return run(["git", *arguments], env=plain_environment(cwd, _ALONE | _WHO), cwd=cwd).decode()
