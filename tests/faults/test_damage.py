"""Snapshots cut, swapped, edited, and a store in which others have left things."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.faults import plan
from tests.faults.bench import Bench
from tests.faults.catalogue import fault
from tests.faults.fetching import DAMAGED, Reader
from tests.faults.judge import Judge
from tests.integration.agent import AGAMA

DUMP = "dump.sql.zst.age"
Damage = Callable[[Path], object]


def cut(name: str, keep: float) -> Damage:
    """Keep this part of a file."""
    return lambda folder: os.truncate(folder / name, int((folder / name).stat().st_size * keep))


def replaced(name: str, make: Callable[[Path], object]) -> Damage:
    """Put something else in place of a file; `make` is given the path."""

    def damage(folder: Path) -> None:
        (folder / name).unlink()
        make(folder / name)

    return damage


def gone(name: str) -> Damage:
    """Remove a file."""
    return lambda folder: (folder / name).unlink()


def other(folder: Path) -> Path:
    """Another snapshot of the same source."""
    return next(path for path in sorted(folder.parent.iterdir()) if path != folder)


def edited(change: Callable[[dict[str, Any]], object]) -> Damage:
    """Change manifest.json, keeping it JSON."""

    def damage(folder: Path) -> None:
        manifest = json.loads((folder / "manifest.json").read_text())
        change(manifest)
        (folder / "manifest.json").write_text(json.dumps(manifest))

    return damage


def first(key: str, value: Any) -> Damage:
    """Change a value of the manifest's first artifact."""
    return edited(lambda manifest: manifest["artifacts"][0].update({key: value}))


def written(text: bytes) -> Damage:
    """Other bytes in place of manifest.json."""
    return lambda folder: (folder / "manifest.json").write_bytes(text)


def linked_whole(folder: Path) -> None:
    """The snapshot's directory is a link to another snapshot."""
    target = other(folder)
    shutil.rmtree(folder)
    folder.symlink_to(target)


def emptied(folder: Path) -> None:
    """Nothing is left in the directory."""
    for path in folder.iterdir():
        path.unlink()


def made_a_file(folder: Path) -> None:
    """The snapshot's directory is a file."""
    shutil.rmtree(folder)
    folder.write_text("x")


# What was done, how, and what `list` shows; None where a look at names and sizes cannot tell.
DAMAGES: list[tuple[str, Damage, str | None]] = [
    ("an artifact lacks its last byte", cut(DUMP, 0.999_999), "damaged"),
    ("an artifact is cut to its half", cut(DUMP, 0.5), "damaged"),
    ("an artifact is empty", cut(DUMP, 0), "damaged"),
    ("an artifact is longer", lambda f: (f / DUMP).write_bytes((f / DUMP).read_bytes() + b"\0"), "damaged"),
    ("an artifact is missing", gone(DUMP), "damaged"),
    ("an artifact is a directory", replaced(DUMP, lambda p: p.mkdir()), "damaged"),
    ("an artifact is a pipe", replaced(DUMP, os.mkfifo), "damaged"),
    (
        "an artifact is a link to another snapshot's",
        replaced(DUMP, lambda p: p.symlink_to(other(p.parent) / DUMP)),
        "damaged",
    ),
    ("an artifact is a link to nowhere", replaced(DUMP, lambda p: p.symlink_to("nowhere")), "damaged"),
    ("an artifact is another snapshot's", lambda f: shutil.copy(other(f) / DUMP, f / DUMP), None),
    (
        "an artifact of the same size is all zero",
        lambda f: (f / DUMP).write_bytes(bytes((f / DUMP).stat().st_size)),
        None,
    ),
    (
        "two artifacts are exchanged",
        lambda f: (
            (f / DUMP).rename(f / "x"),
            (f / "grants.sql.zst.age").rename(f / DUMP),
            (f / "x").rename(f / "grants.sql.zst.age"),
        ),
        "damaged",
    ),
    ("manifest.json is missing", gone("manifest.json"), "damaged"),
    ("manifest.json is a directory", replaced("manifest.json", lambda p: p.mkdir()), "damaged"),
    ("manifest.json is a pipe", replaced("manifest.json", os.mkfifo), "damaged"),
    (
        "manifest.json is a link to another snapshot's",
        replaced("manifest.json", lambda p: p.symlink_to(other(p.parent) / "manifest.json")),
        "damaged",
    ),
    (
        "manifest.json is another snapshot's",
        lambda f: shutil.copy(other(f) / "manifest.json", f / "manifest.json"),
        "damaged",
    ),
    ("manifest.json is empty", written(b""), "damaged"),
    ("manifest.json is cut short", cut("manifest.json", 0.7), "damaged"),
    ("manifest.json is a list", written(b"[]"), "damaged"),
    ("manifest.json is nested without end", written(b"[" * 100_000), "damaged"),
    ("manifest.json is not text", written(b"\xff\xfe\0" * 99), "damaged"),
    ("manifest.json is of a later format", edited(lambda m: m.update(format=2)), "damaged"),
    ("manifest.json has another host", edited(lambda m: m.update(host="pavroto-1")), "damaged"),
    ("manifest.json has another id", edited(lambda m: m.update(id="2001-01-01T000000Z")), "damaged"),
    ("manifest.json has no time zone", edited(lambda m: m.update(taken="2026-11-23T01:00:00")), "damaged"),
    ("manifest.json calls it shrunk", edited(lambda m: m.update(state="shrunk")), None),
    ("manifest.json has another recipient", edited(lambda m: m.update(recipients=["age1nobody"])), None),
    ("manifest.json names no artifact", edited(lambda m: m.update(artifacts=[])), None),
    ("manifest.json lacks an artifact", edited(lambda m: m["artifacts"].pop(1)), None),
    ("manifest.json has an artifact twice", edited(lambda m: m["artifacts"].append(m["artifacts"][0])), None),
    ("manifest.json has another stored size", first("stored_bytes", 7), "damaged"),
    ("manifest.json has a huge size", first("stored_bytes", 10**30), "damaged"),
    ("manifest.json has another stored hash", first("stored_sha256", "0" * 64), None),
    ("manifest.json has another plain hash", first("plain_sha256", "0" * 64), None),
    ("manifest.json has another plain size", first("plain_bytes", 7), None),
    ("manifest.json points out of the snapshot", first("file", "../x"), "damaged"),
    ("manifest.json points to another file", first("file", "grants.sql.zst.age"), "damaged"),
    ("manifest.json calls an artifact otherwise", first("name", "other.sql"), None),
    ("SHA256SUMS is missing", gone("SHA256SUMS"), None),
    ("SHA256SUMS is empty", cut("SHA256SUMS", 0), None),
    ("SHA256SUMS is a directory", replaced("SHA256SUMS", lambda p: p.mkdir()), None),
    ("RESTORE.txt is missing", gone("RESTORE.txt"), None),
    ("RESTORE.txt is another text", lambda f: (f / "RESTORE.txt").write_text("rm -rf /\n"), None),
    ("everything in it is missing", emptied, "damaged"),
    ("its directory is missing", shutil.rmtree, "gone"),
    ("its directory is a link to another snapshot", linked_whole, "gone"),
    ("its directory is a file", made_a_file, "gone"),
]


@fault(
    "stored",
    "artifacts, manifest.json, SHA256SUMS, RESTORE.txt cut, swapped, edited, missing, replaced by something else",
    "fetch ends with 4 or 10; `list` shows `damaged` where sizes and names tell; other snapshots stay good",
    full=len(DAMAGES),
    sample=12,
)
@pytest.mark.timeout(600)
def test_a_damaged_snapshot(bench: Bench, judge: Judge, tmp_path: Path) -> None:
    """Whatever is damaged in a snapshot, fetch refuses it, list goes on, and the others stay as they are."""
    reader = Reader(bench, judge, bench.latest(AGAMA), tmp_path)
    for case, damage, state in (DAMAGES[number] for number in plan.spread(len(DAMAGES), 12, "damages")):
        with reader.damaged() as folder:
            damage(folder)
            reader.judged(case, state=state, codes=DAMAGED)
    judge.lifted("after the damages", AGAMA)
    judge.verdict()


@fault(
    "stored",
    "the newest snapshot is damaged",
    "the next run stores beside it, with 5 while its manifest cannot be read; @latest is the newest that a look "
    "does not find damaged",
    full=3,
    sample=3,
)
def test_a_run_beside_a_damaged_snapshot(bench: Bench, judge: Judge, tmp_path: Path) -> None:
    """A run over a source whose newest snapshot is damaged stores a new one, and touches the damaged one no more."""
    ref = bench.latest(AGAMA)
    reader = Reader(bench, judge, ref, tmp_path)
    for damage in (gone("manifest.json"), cut(DUMP, 0.5), replaced("manifest.json", lambda p: p.mkdir())):
        with reader.damaged() as folder:
            damage(folder)
            readable = (folder / "manifest.json").is_file()
            judge.remember()
            done = bench.run("fetch", f"{AGAMA}@latest", "-o", tmp_path / "latest")
            assert ref.partition("@")[2] not in done.out, done
            judge.after("beside a damaged one", bench.run("run", AGAMA), publishes=True, codes=(0 if readable else 5,))
            shutil.rmtree(tmp_path / "latest")
        judge.remember()
    judge.lifted("beside a damaged one", AGAMA)
    judge.verdict()


def strew(store: Path, outside: Path) -> list[Path]:
    """Leave in a store what does not belong there."""
    source = store / AGAMA
    newest = max(source.iterdir())
    odd = [
        os.fsdecode(b"not \xff text"),
        "line\nbreak",
        "\x1b[31mred",
        " ",
        "-rf",
        "a" * 255,
        "2026-13-45T999999Z",
        "%s%n",
    ]
    files = [place / name for place in (store, store / "pavroto-2", source) for name in (*odd, "2026-01-01T000000Z")]
    for file in files:
        file.write_text("foreign")
    links = [store / "away", store / "pavroto-2" / "away", source / "2026-01-02T000000Z", source / "2026-01-03T000000Z"]
    for link, target in zip(links, (outside, outside, outside, newest), strict=True):
        link.symlink_to(target)
    (source / "loop").symlink_to("loop")
    empty = [store / "empty", store / "pavroto-2" / "empty", source / "empty", store / "lost+found"]
    for directory in empty:
        directory.mkdir()
    (newest / "foreign").write_text("foreign")
    os.mkfifo(store / "pipe")
    return [*files, *links, *empty, source / "loop", newest / "foreign", store / "pipe"]


@fault(
    "stored",
    "foreign files, pipes, links out of the store, to snapshots and to themselves, empty directories, odd names",
    "not followed, not listed, not fetched, not touched; runs go on",
)
def test_foreign_things_in_the_store(bench: Bench, judge: Judge, tmp_path: Path) -> None:
    """What does not belong to the store is neither followed nor shown nor touched, and disturbs nothing."""
    outside = tmp_path / "outside"
    shutil.copytree(bench.store, outside)
    listed = judge.listed("before")
    strewn = strew(bench.store, outside)
    try:
        assert judge.listed("foreign things") == listed
        newest = bench.latest(AGAMA)
        bench.run("fetch", newest, "-o", tmp_path / "fetched").succeeded()
        assert not list((tmp_path / "fetched").rglob("foreign"))
        bench.run("run").succeeded()
        assert all(path.is_symlink() or path.exists() for path in strewn)
    finally:
        for path in strewn:
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    judge.lifted("foreign things", AGAMA)
    judge.verdict()
