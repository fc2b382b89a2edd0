"""The search for identities that open the store and lie on this machine."""

import os
import subprocess
from pathlib import Path

import pytest

from pullagent import identities
from pullagent.identities import search, usual_places
from tests.unit.sealing import IDENTITY_FILE, RECIPIENT, SECRET, SSH_IDENTITY_FILE, SSH_RECIPIENT


def keygen(*arguments: str | Path) -> None:
    """Make an SSH key."""
    subprocess.run(["ssh-keygen", "-q", *map(str, arguments)], check=True)


def test_an_age_identity_is_found_under_any_name(tmp_path: Path) -> None:
    """By its content: as age-keygen writes it, and as a line of some notes in DOS form."""
    (tmp_path / "keep.dat").write_bytes(IDENTITY_FILE.read_bytes())
    (tmp_path / "notes.txt").write_text(f"the backup key is\r\n  {SECRET}\r\nremember it\r\n")
    found = search([tmp_path], [RECIPIENT])
    assert found.opening == (tmp_path / "keep.dat", tmp_path / "notes.txt")
    assert (found.unclear, found.closed, found.places) == ((), (), 1)


def test_an_identity_of_something_else_is_no_matter(tmp_path: Path) -> None:
    """Only what opens the store is told."""
    subprocess.run(["age-keygen", "-o", tmp_path / "other.txt"], check=True, capture_output=True)
    keygen("-t", "ed25519", "-N", "", "-f", tmp_path / "id_ed25519")
    assert search([tmp_path], [RECIPIENT, SSH_RECIPIENT]).opening == ()


@pytest.mark.parametrize("passphrase", ["", "secret words"])
@pytest.mark.parametrize("kind", ["ed25519", "rsa"])
def test_an_ssh_key_is_found(tmp_path: Path, kind: str, passphrase: str) -> None:
    """Without its public half beside it, and behind a passphrase too; a comment in hosts.toml does not hide it."""
    file = tmp_path / "id"
    keygen("-t", kind, "-N", passphrase, "-f", file)
    public = file.with_suffix(".pub").read_text().strip()
    file.with_suffix(".pub").unlink()
    assert search([tmp_path], [public]).opening == (file,)


def test_an_ssh_key_of_the_older_form_is_found_by_its_public_half(tmp_path: Path) -> None:
    """PEM does not hold it in clear: the file beside does."""
    file = tmp_path / "id_rsa"
    keygen("-t", "rsa", "-m", "PEM", "-N", "", "-f", file)
    assert search([tmp_path], [file.with_suffix(".pub").read_text()]).opening == (file,)


def test_the_vectors_ssh_key_is_found() -> None:
    """A key made by another version of OpenSSH."""
    assert SSH_IDENTITY_FILE in search([SSH_IDENTITY_FILE.parent], [SSH_RECIPIENT]).opening


def test_what_cannot_be_compared_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken identity, or no age-keygen program: somebody should look at it."""
    (tmp_path / "broken").write_text(SECRET[:-1] + ("Q" if SECRET[-1] != "Q" else "P"))
    (tmp_path / "cut").write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEA\n-----END")
    assert search([tmp_path], [RECIPIENT]).unclear == (tmp_path / "broken", tmp_path / "cut")
    monkeypatch.setenv("PATH", "/nonexistent")
    (tmp_path / "sound").write_text(SECRET)
    assert tmp_path / "sound" in search([tmp_path], [RECIPIENT]).unclear


def test_odd_files_neither_stop_nor_slow_it(tmp_path: Path) -> None:
    """A pipe without a writer, a device, a broken link, a large file, a directory with a key's name."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "null").symlink_to("/dev/zero")
    (tmp_path / "broken").symlink_to("nowhere")
    (tmp_path / "dump").write_bytes(b"x" * (1 << 20) + SECRET.encode())
    (tmp_path / "key.txt").mkdir()
    found = search([tmp_path, tmp_path / "absent", tmp_path / "dump"], [RECIPIENT])
    assert (found.opening, found.unclear, found.places) == ((), (), 1)


def recorded(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that are opened from now on; none of them is."""
    opened = list[Path]()

    def content(file: Path) -> bytes:
        opened.append(file)
        return b""

    monkeypatch.setattr(identities, "_content", content)
    return opened


def test_no_device_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """To open one can start something (a watchdog, a tape): a home may be /dev, or a link may lead there."""
    (tmp_path / "link").symlink_to("/dev/null")
    opened = recorded(monkeypatch)
    search([Path("/dev"), tmp_path], [RECIPIENT])
    assert [file for file in opened if not file.is_file()] == []
    assert tmp_path / "link" not in opened


def test_few_files_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home with a million files takes no longer than one with some hundreds."""
    for number in range(identities._FILES_A_PLACE + 50):
        (tmp_path / f"{number}").touch()
    read = recorded(monkeypatch)
    search([tmp_path], [RECIPIENT])
    assert len(read) == identities._FILES_A_PLACE


def test_no_secret_is_put_into_argv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """age-keygen gets it by its standard input."""
    programs = tmp_path / "bin"
    programs.mkdir()
    real = subprocess.run(["which", "age-keygen"], capture_output=True, text=True, check=True).stdout.strip()
    (programs / "age-keygen").write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/argv\nexec {real} "$@"\n')
    (programs / "age-keygen").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    place = tmp_path / "home"
    place.mkdir()
    (place / "key").write_text(SECRET)
    assert search([place], [RECIPIENT]).opening == (place / "key",)
    assert (tmp_path / "argv").read_text() == "-y\n"


def test_the_usual_places(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """All homes, with the directories where keys lie; the working directory; /etc/pullagent; what else is given."""
    monkeypatch.chdir(tmp_path)
    places = usual_places(Path("/srv/config"))
    wanted = ("/root", "/root/.config/age", "/root/.age", "/root/.ssh", "/etc/pullagent", "/srv/config", tmp_path)
    assert {Path(place) for place in wanted} <= set(places)
    assert len(set(places)) == len(places)
