"""Repositories that git goes to by itself: http, https and its own protocol, from real servers; nobody logs in."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from pullagent.sources.git import program
from tests.integration.forge import ANSIBLE, HOST, Backup, Forge
from tests.lab.webgit import Daemon, WebServer, certificate

Environment = Callable[[str], dict[str, str]]


@pytest.fixture
def backup(tmp_path: Path) -> Backup:
    """A backup server whose host does not even run."""
    return Backup(tmp_path / "backup", Forge(tmp_path / "forge"))


@pytest.fixture(params=["http", "git"])
def server(request: pytest.FixtureRequest, backup: Backup) -> Iterator[WebServer | Daemon]:
    """What serves its repository."""
    top = backup.upstream.bare.parent
    with closing(Daemon(top, backup.directory) if request.param == "git" else WebServer(top, "http")) as started:
        yield started


def points_to(backup: Backup, url: str) -> None:
    """hosts.toml with this address of the repository."""
    backup.edit(f'url = "{backup.upstream.bare}"', f'url = "{url}/{backup.upstream.bare.name}"')


def test_it_is_mirrored_and_stored_without_a_login(backup: Backup, server: WebServer | Daemon) -> None:
    """The first clone, what is pushed afterwards, nothing new, a run and a drill."""
    points_to(backup, server.url)
    backup.call("mirror").succeeded()
    assert backup.upstream.refs(backup.mirror) == backup.upstream.refs()
    backup.upstream.commit("more.yml", "- hosts: more\n")
    backup.upstream.git("push", "--quiet", "origin", "main")
    assert "1 changed" in backup.call("mirror").succeeded().out
    assert backup.upstream.refs(backup.mirror) == backup.upstream.refs()
    assert "as upstream" in backup.call("mirror").succeeded().out
    backup.call("run").succeeded()
    backup.call("drill", f"{ANSIBLE}@latest", "--identity", backup.identity).succeeded()
    backup.call("verify", "--identity", backup.identity).succeeded()


def test_what_is_not_there_is_told(backup: Backup, server: WebServer | Daemon) -> None:
    """Another path, and then no server: an error that names the repository's address, and the mirror stays."""
    points_to(backup, server.url)
    backup.call("mirror").succeeded()
    before = backup.upstream.refs(backup.mirror)
    backup.edit(f"/{backup.upstream.bare.name}", "/absent.git")
    backup.call("mirror").failed(1, "git ls-remote: ")
    server.close()
    backup.call("mirror").failed(1, "git ls-remote: ")
    assert backup.upstream.refs(backup.mirror) == before


def test_a_certificate_must_be_of_a_known_authority(backup: Backup, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that nobody signed is refused, with what to do; once it is known here the repository is mirrored."""
    file = certificate(backup.directory)
    with closing(WebServer(backup.upstream.bare.parent, "https", file)) as server:
        points_to(backup, server.url)
        backup.call("mirror").failed(1, "certificate", "update-ca-certificates")
        assert not backup.upstream.refs(backup.mirror)
        known = _with_authority(program.environment, file)
        monkeypatch.setattr(program, "environment", known)
        git = program.Program(backup.mirror)
        listed = git.ask("ls-remote", "--", f"{server.url}/{backup.upstream.bare.name}", protocol="http:https")
    assert {line.split("\t")[1] for line in listed.decode().splitlines()} >= set(backup.upstream.refs())


def _with_authority(environment: Environment, file: Path) -> Environment:
    return lambda protocol: environment(protocol) | {"GIT_SSL_CAINFO": str(file)}


def test_doctor_looks_at_it(backup: Backup, server: WebServer | Daemon) -> None:
    """`doctor` asks upstream, although there is no host to log in to."""
    points_to(backup, server.url)
    lines = backup.call("doctor", HOST).out.splitlines()
    assert any(line.startswith("OK ") and "repository" in line and "5 refs" in line for line in lines), lines
