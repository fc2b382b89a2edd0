"""Files of a host: backed up by tar, listed, put back and compared, through the real command line and sshd."""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.agent import HOST, Agent, Done
from tests.integration.trees import plant, seen
from tests.lab.keys import age_identity
from tests.lab.production import ProductionHost

ETC = f"{HOST}/etc"


class Place:
    """A backup server, and a host with a tree `etc` that it pulls."""

    def __init__(self, directory: Path) -> None:
        self.host = ProductionHost(directory / "host", influx=False)
        self.agent = Agent(directory / "backup", self.host)
        self.tree = plant(directory / "tree" / "etc")
        self.configure(self.tree)

    def configure(self, *paths: Path, more: str = "") -> None:
        """hosts.toml with one source of these paths."""
        host, agent = self.host, self.agent
        whole = host.hosts_toml(agent.store, agent.recipient, host.identity, agent.known_hosts)
        head = whole.partition(f"[hosts.{HOST}.sources")[0]
        names = ", ".join(f'"{path}"' for path in paths)
        agent.configure(f'{head}[hosts.{HOST}.sources.etc]\nkind = "files"\npaths = [{names}]\n{more}')

    @property
    def home(self) -> Path:
        """The home of logins on the host."""
        return self.host.sshd.home

    def restored(self) -> Path:
        """Where the newest snapshot's tree is after a restore without --into."""
        name = self.agent.latest(ETC).replace("/", "_").replace("@", "_")
        return self.home / name / str(self.tree).lstrip("/")


@pytest.fixture(scope="module")
def shared_place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """One place for the module, which holds a snapshot."""
    place = Place(tmp_path_factory.mktemp("files"))
    place.host.sshd.start()
    place.agent.call("run").succeeded()
    yield place
    place.host.sshd.stop()


@pytest.fixture
def place(shared_place: Place) -> Iterator[Place]:
    """The module's place; what a test leaves on the host is removed afterwards."""
    yield shared_place
    shared_place.configure(shared_place.tree)
    shared_place.host.sshd.farm.reset()
    shutil.rmtree(shared_place.home)
    shared_place.home.mkdir(mode=0o700)


def objects(done: Done) -> dict[str, tuple[object, object, bool]]:
    """What a restore compared, by name."""
    return {o["name"]: (o["expected"], o["found"], o["equal"]) for o in done.json["objects"]}


def test_a_tree_comes_back_as_it_was(place: Place) -> None:
    """Contents, modes, owners, times, links, holes, ACLs, attributes, capabilities, devices and names of any bytes."""
    done = place.agent.restore(f"{ETC}@latest", "--json").succeeded()
    expected = seen(place.tree)
    assert seen(place.restored()) == expected
    compared = objects(done)
    assert compared.pop(str(place.tree)) == (len(expected), len(expected), True)
    assert list(compared) == [str(place.restored()).removesuffix(str(place.tree))]
    sparse = place.restored() / "sparse"
    assert sparse.stat().st_blocks * 512 < sparse.stat().st_size // 100
    assert (place.restored().parents[len(place.tree.parents) - 1].stat().st_mode & 0o777) == 0o700


def test_a_part_comes_back(place: Place) -> None:
    """--path takes files and directories, with or without their first slash; nothing else is unpacked."""
    options = ["--path", f"{place.tree}/dir", "--path", str(place.tree / "plain.conf").lstrip("/"), "--json"]
    done = place.agent.restore(f"{ETC}@latest", *options).succeeded()
    expected = {
        name: one | {"same as": name} if "same as" in one else one
        for name, one in seen(place.tree).items()
        if name == "plain.conf" or name.split("/")[0] == "dir"
    }
    found = seen(place.restored())
    assert found.pop(".")
    assert found == expected
    assert objects(done)[f"{place.tree}/dir"] == (3, 3, True)


def test_a_part_that_is_not_there(place: Place) -> None:
    """Named as missing, with the way to look; and a hard link alone needs the file that it is another name of."""
    place.agent.restore(f"{ETC}@latest", "--path", "/etc/nothing").failed(1, "does not hold /etc/nothing", "--files")
    assert not list(place.home.iterdir())
    linked = place.agent.restore(f"{ETC}@latest", "--path", f"{place.tree}/linked")
    linked.failed(1, f"another name of {place.tree}/dir/deeper/leaf: add --path {place.tree}/dir/deeper/leaf")
    both = ["--path", f"{place.tree}/linked", "--path", f"{place.tree}/dir/deeper/leaf"]
    place.agent.restore(f"{ETC}@latest", *both).succeeded()
    assert (place.restored() / "linked").samefile(place.restored() / "dir/deeper/leaf")


def test_what_is_there_is_not_written_over_unless_told(place: Place, tmp_path: Path) -> None:
    """A directory that holds something is refused; --replace writes over it, and leaves what is not in the snapshot."""
    there = tmp_path / "there" / str(place.tree).lstrip("/")
    there.mkdir(parents=True)
    (there / "plain.conf").write_text("newer\n")
    (there / "stays").write_text("mine\n")
    into = ("--into", tmp_path / "there")
    place.agent.restore(f"{ETC}@latest", *into).failed(1, "holds something already", "--replace")
    assert (there / "plain.conf").read_text() == "newer\n"
    place.agent.restore(f"{ETC}@latest", *into, "--replace").succeeded()
    found = seen(there)
    assert (there / "stays").read_text() == "mine\n"
    assert found.pop("stays")
    assert found == seen(place.tree)


@pytest.mark.parametrize("before", ["absent", "empty"])
def test_what_is_filled_during_the_question_is_left_alone(place: Place, tmp_path: Path, before: str) -> None:
    """An operator may take long to say yes: what somebody has put there meanwhile is not written over."""
    there = tmp_path / "there"
    mine = there / str(place.tree).lstrip("/") / "plain.conf"
    if before == "empty":
        there.mkdir()

    def answer() -> str:
        mine.parent.mkdir(parents=True)
        mine.write_text("since the look\n")
        return "yes\n"

    login = ("--to", f"{place.host.sshd.user}@{HOST}", "--ssh-key", place.host.identity)
    options = ("--identity", place.agent.identity, "--into", there)
    words = ("restore", f"{ETC}@latest", *login, *options)
    typed = place.agent.type(*words, answers=[("type yes to go on:", answer)], columns=400)
    assert typed.code == 1
    assert f"{there} is no longer {before}, nothing was changed" in typed.screen
    assert mine.read_text() == "since the look\n"
    assert [path for path in there.rglob("*") if not path.is_dir()] == [mine]


def test_directories_above_are_made_as_ever(place: Place, tmp_path: Path) -> None:
    """What is missing above the place and above `paths` is for everybody to enter, and named; the place is not."""
    there = tmp_path / "there"
    there.mkdir()
    (there / "stays").write_text("")
    done = place.agent.restore(f"{ETC}@latest", "--into", there, "--replace", "--json").succeeded()
    above = [p for p in (there / str(place.tree).lstrip("/")).parents if p.is_relative_to(there) and p != there]
    assert {oct(path.stat().st_mode & 0o777) for path in above} == {"0o755"}
    assert {name for name, (_, found, _) in objects(done).items() if str(found).startswith("made")} == set(
        map(str, above)
    )
    deep = tmp_path / "a b" / "b" / "c"
    done = place.agent.restore(f"{ETC}@latest", "--into", deep, "--json").succeeded()
    modes = [oct(path.stat().st_mode & 0o777) for path in (deep, deep.parent, deep.parent.parent)]
    assert modes == ["0o700", "0o755", "0o755"]
    assert {name for name, (_, found, _) in objects(done).items() if str(found).startswith("made")} == {
        str(deep.parent),
        str(deep.parent.parent),
    }


def test_a_directory_that_is_a_link_by_now_is_not_replaced(place: Place, tmp_path: Path) -> None:
    """tar would put a plain directory in its place: --replace is refused, and names the link and where it leads."""
    there, disk = tmp_path / "there" / str(place.tree).lstrip("/"), tmp_path / "disk"
    there.mkdir(parents=True)
    disk.mkdir()
    (disk / "newer").write_text("newer\n")
    (there / "dir").symlink_to(disk)
    into = ("--into", tmp_path / "there", "--replace")
    said = f"in {tmp_path}/there, where the snapshot has directories: {there.relative_to(tmp_path / 'there')}/dir leads"
    place.agent.restore(f"{ETC}@latest", *into).failed(1, f"{said} to {disk}", "remove it")
    assert [path.name for path in there.iterdir()] == ["dir"]
    assert [path.name for path in disk.iterdir()] == ["newer"]
    # a link that comes back as one is none of these
    (there / "dir").unlink()
    (there / "absolute").symlink_to(disk)
    place.agent.restore(f"{ETC}@latest", *into).succeeded()
    assert seen(there) == seen(place.tree)


def test_what_does_not_come_back_as_it_was_is_named(place: Place) -> None:
    """What cannot be compared as equal is told, and the exit code says so."""
    place.host.sshd.put_first("tar", _LOSING)
    done = place.agent.restore(f"{ETC}@latest", "--json")
    assert done.code == 1
    compared = objects(done)
    assert compared[f"{place.tree}/plain.conf"] == ("present", "missing", False)
    expected, found, equal = compared[f"{place.tree}/big"]
    assert ("mode 0644" in str(expected), "mode 0600" in str(found), equal) == (True, True, False)
    assert compared[str(place.tree)][2] is False


_LOSING = """#!/bin/sh
case "$*" in
*--extract*) /usr/bin/tar "$@" || exit; f=$(find "$5" -name plain.conf); rm "$f"; chmod 600 "$(dirname "$f")/big";;
*) exec /usr/bin/tar "$@" ;;
esac
"""


def test_a_file_that_changes_meanwhile_is_a_warning(place: Place) -> None:
    """Status 1: stored, the names told to whoever watches; in the clear manifest only how many there were."""
    place.host.sshd.put_first("tar", _MOVING.format(log=place.tree / "plain.conf"))
    stored = place.agent.call("run", ETC, "--json").succeeded().json["sources"][0]
    assert stored["outcome"] == "stored"
    assert any("plain.conf: file changed as we read it" in text for text in stored["warnings"])
    manifest = (place.agent.path(stored["ref"]) / "manifest.json").read_text()
    assert "1 file" in manifest
    assert "plain.conf" not in manifest


_MOVING = """#!/bin/sh
case "$*" in *--create*) ;; *) exec /usr/bin/tar "$@" ;; esac
/usr/bin/tar "$@"; s=$?
[ $s = 0 ] || exit $s
echo 'tar: {log}: file changed as we read it' >&2
exit 1
"""


def test_its_files_are_listed(place: Place) -> None:
    """Each with permissions, owner, size and time, on a line of its own whatever its name; as JSON too."""
    opening = ("--files", "--identity", place.agent.identity)
    lines = place.agent.call("show", f"{ETC}@latest", *opening).succeeded().out.splitlines()
    expected = seen(place.tree)
    assert len(lines) == len(expected)
    assert any(line.endswith(f" 2001-09-09T01:46:40Z {place.tree}/plain.conf") for line in lines)
    assert any(line.startswith("-rw-r-----        0:42 ") and line.endswith("/shadow") for line in lines)
    assert any(line.endswith(f"/linked link to {place.tree}/dir/deeper/leaf") for line in lines)
    listed = place.agent.call("show", f"{ETC}@latest", "--json", *opening).succeeded().json
    assert len(listed["files"]) == len(expected)
    files = {one["path"]: one for one in listed["files"]}
    assert files[f"{place.tree}/sparse"]["size_bytes"] == 64 << 20
    assert (files[f"{place.tree}/up"]["link"], files[f"{place.tree}/up"]["uid"]) == ("../elsewhere", 1001)
    assert listed["manifest"]["kind"] == "files"


def test_files_are_listed_with_the_right_identity_only(place: Place, tmp_path: Path) -> None:
    """Without one it is a usage error; another's does not open it."""
    place.agent.call("show", f"{ETC}@latest", "--files").failed(2, "belong together", "--identity FILE")
    age_identity(tmp_path / "other.txt")
    wrong = place.agent.call("show", f"{ETC}@latest", "--files", "--identity", tmp_path / "other.txt")
    wrong.failed(12, "does not open")


def test_a_drill_unpacks_and_compares_here(place: Place) -> None:
    """On this machine, member by member, without rights; nothing of it is left."""
    done = place.agent.call("drill", f"{ETC}@latest", "--identity", place.agent.identity, "--json").succeeded()
    expected, found, equal = objects(done)[str(place.tree)]
    assert (expected, equal) == (found, True)
    directory = next(name for name in objects(done) if name != str(place.tree))
    assert not Path(directory).exists()
    told = place.agent.call("drill", f"{ETC}@latest", "--identity", place.agent.identity).succeeded().out
    assert re.search(r"^on: +this machine, as \S+$", told, re.M)
    assert f"1 object, {len(seen(place.tree)) - 1:,} entries: everything came back" in told
    assert not re.search("server|holds what came back", told)


def test_a_path_too_long_to_be_unpacked(place: Place, tmp_path: Path) -> None:
    """tar stores it, and cannot unpack it: the pull warns; a restore brings back the rest and names what is missing."""
    top = tmp_path / "deep"
    top.mkdir()
    (top / "other").write_bytes(os.urandom(4_000_000))
    here = os.open(top, os.O_RDONLY)
    for number in range(22):
        os.mkdir(f"{number:0200}", dir_fd=here)
        inner = os.open(f"{number:0200}", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(here)
    place.configure(top)
    stored = place.agent.call("run", ETC, "--json").succeeded().json["sources"][0]
    assert any(re.match(r"[2-4] paths of more than 4,000 bytes", text) for text in stored["warnings"])
    done = place.agent.restore(stored["ref"], "--into", tmp_path / "there", "--json")
    assert done.code == 1
    compared = objects(done)
    assert "File name too long" in str(compared["tar"][1])
    missing = [name for name, (_, found, _) in compared.items() if found == "missing"]
    assert {len(name) > 4000 for name in missing} == {True}
    assert (tmp_path / "there" / str(top).lstrip("/") / "other").read_bytes() == (top / "other").read_bytes()
    shutil.rmtree(top)
    shutil.rmtree(tmp_path / "there")


def test_of_many_links_some_are_named(place: Place, tmp_path: Path) -> None:
    """However many there are, the answer is short and the command ends well."""
    top, there = tmp_path / "top", tmp_path / "there"
    for number in range(1500):
        (top / f"{number:05}").mkdir(parents=True)
    place.configure(top)
    place.agent.call("run", ETC)
    (there / str(top).lstrip("/")).mkdir(parents=True)
    for number in range(1500):
        (there / str(top).lstrip("/") / f"{number:05}").symlink_to(tmp_path)
    done = place.agent.restore(f"{ETC}@latest", "--into", there, "--replace")
    done.failed(1, f"/00000 leads to {tmp_path}")
    assert "and others" in done.err
    assert len(done.err) < 8000
