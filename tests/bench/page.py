"""docs/performance.md out of results: every figure is theirs, only the words stand here."""

from collections.abc import Iterator, Mapping, Sequence

from tests.bench.profile import NEEDED, OURS, PRODUCTION
from tests.bench.pulls import SHELL, size
from tests.bench.results import Results, Row, Share, number, told_reach, told_result, told_runs

HEAD = """\
# How fast, and how large

What a pull takes of time, processor and memory, beside what an operator would otherwise write. `make bench` measures
it; this page and its charts are made of the results by `python -m tests.bench.report`: do not edit them.
"""
REPEAT = """\
## To repeat it

```sh
make bench                                # the tables and the profile
make bench GROWTH=1                       # the charts of growth
make bench ONLY=pull,profile              # some parts; the others keep their figures
.venv/bin/python -m tests.bench.report    # writes this page anew
```

Nothing else should run meanwhile. It needs the packages that `make bench` installs, and root for the slow link.
"""
METHOD = """\
## How it is measured

- A real sshd on loopback, on the same machine, plays the production host: what it takes, the other side cannot have,
  and that is so for every contender. Its dump program hands out a recorded dump of users, articles and events (hashes,
  text, numbers, times); the live rows are dumps of real servers.
- Contenders take turns (A B, B A, A B), so that a drift of the machine meets all alike. A ratio is taken within each
  pair; the median of the pairs is the result, and the least and the most stand behind it.
- CPU is user and system time of all processes of the backup server's side, as the kernel counts it. What a host's own
  zstd takes on the slow link is not in it.
- pullagent has the host's dump run by `nice`, its default; the pipelines' dumps run as they are.
- Memory is the largest resident set of any one process of a run, as the kernel keeps it, looked up ten
  times a second.
- pullagent works with all its checks: content, both SHA-256, the size that age's format prescribes, fsync, manifest.
  The shell's pipeline has none of them, and does not wait for the disk. restic and borg encrypt, and cut the stream
  into chunks that they need not store twice: a first backup shows what that costs, not what it may save later.
"""
# in the order of the page, and what is left out where they were not measured
GROUPS = {
    "pull": "one pull against the shell's pipeline, restic and borg",
    "four": "four sources at once",
    "live": "pulls of live servers",
    "stored": "what a restore reads, and verify",
    "memory": "memory by the length of the stream and the number of streams",
    "link": "a slow link",
    "restore": "whole restores onto live servers",
    "looks": "the start of the program, list, status and prune",
}
GROWN = {
    "sizes": "the length of the stream",
    "sources": "the number of sources",
    "snapshots": "the number of snapshots",
}
_VERDICTS = {True: "reached", False: "**not reached**", None: ""}


def page(results: Results, charts: Sequence[tuple[str, str, str]]) -> str:
    """The whole page; `charts` are those that there are: section, file and what it shows."""
    sections = (HEAD, _summary(results), _shown(charts, "ratios"), _tables(results), _profile(results, charts))
    grown = _growth(charts)
    return "\n".join(part for part in (*sections, grown, METHOD, REPEAT, _where(results)) if part)


def ordered(results: Results) -> list[Row]:
    """The rows in the order of the page."""
    places = list(GROUPS)
    return sorted(results.rows, key=lambda row: places.index(row.group))


def _summary(results: Results) -> str:
    judged = [row for row in ordered(results) if row.reached is not None]
    missed = [row for row in judged if not row.reached]
    text = (
        f"Reached on the machine below: {len(judged) - len(missed)} of {len(judged)} figures that have a mark to reach"
    )
    if not missed:
        return f"{text}.\n"
    listed = "".join(f"- {_name(row)}: {told_result(row)}; to reach: {told_reach(row)}\n" for row in missed)
    return f"{text}. Not reached:\n\n{listed}"


def _name(row: Row) -> str:
    return f"{row.what}, against `{row.against}`" if row.against else row.what


def _tables(results: Results) -> str:
    rows = ordered(results)
    asked = [row for row in rows if row.kind == "margin" or row.reach is not None]
    beside = [row for row in rows if row not in asked]
    missing = [f"{text} (`make bench ONLY={group}`)" for group, text in GROUPS.items() if not _of(rows, group)]
    found = ["## What it is to reach\n", *_table(asked, judged=True)]
    if beside:
        found += ["\n## Beside it\n", *_table(beside, judged=False)]
    if missing:
        found += ["\nLeft out, for these results do not hold it:\n", *(f"- {text}" for text in missing)]
    return "\n".join(found) + "\n"


def _of(rows: Sequence[Row], group: str) -> list[Row]:
    return [row for row in rows if row.group == group]


def _table(rows: Sequence[Row], *, judged: bool) -> Iterator[str]:
    heads = ["What", "Against", "pullagent", "The other", "Result", "Runs"] + (["To reach", ""] if judged else [])
    yield _line(heads)
    yield _line(["---"] * len(heads))
    for row in rows:
        cells = [row.what, f"`{row.against}`" if row.against else "", told_runs(row.ours, row.unit)]
        cells += [told_runs(row.theirs, row.unit), _result(row), str(len(row.ours) or "")]
        verdict = _VERDICTS[row.reached] if row.each else "not measured"
        yield _line([*cells, told_reach(row), verdict] if judged else cells)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _result(row: Row) -> str:
    if len(row.each) < 2 or row.kind == "at most":
        return told_result(row)
    if row.kind == "margin":
        return f"{told_result(row)}, {min(row.each):+.1f} s to {max(row.each):+.1f} s"
    return f"{told_result(row)} ({min(row.each):.2f}–{max(row.each):.2f})"


def _profile(results: Results, charts: Sequence[tuple[str, str, str]]) -> str:
    head = "## Where the processor time of a pull goes\n\n"
    ours, shell = (parts_of(results.shares, whose) for whose in (OURS, SHELL))
    if not ours:
        return f"{head}These results do not hold it: `make bench ONLY=profile` measures it.\n"
    total = sum(ours.values())
    rows = [_line(["Part", "CPU", "Of it", "Needed for each byte"]), _line(["---"] * 4)]
    for part, spent in sorted(ours.items(), key=lambda item: -item[1]):
        rows.append(
            _line([part, f"{number(spent)} s", f"{spent / total * 100:.0f} %", "yes" if part in NEEDED else ""])
        )
    rows.append(_line(["all of it", f"{number(total)} s", "", ""]))
    beside = "; ".join(f"{part} {number(spent)} s" for part, spent in shell.items())
    text = f"{_shown(charts, 'profile')}\n" + "\n".join(rows) + f"\n\n{_bound(results, ours)}"
    shell_s = number(sum(shell.values()))
    return f"{head}{text}\nThe shell's pipeline over the same stream: {beside}; all of it {shell_s} s.\n\n{_CLOCKS}"


_CLOCKS = """\
Threads have clocks of their own, read twenty times a second: up to a twentieth of a second of each thread's end, and
what the measurement costs the others, is in the wrong line or in *all else*. The wall time is that of a measured run.
*Needed* is what any program that keeps the same promises has to do to each byte; what moves bytes between these parts
(socket, pipes, file) is not counted as needed, though some of it always is, so the last figure is an estimate that no
program would quite come to.
"""


def parts_of(shares: Sequence[Share], whose: str) -> dict[str, float]:
    """Seconds by part."""
    return {share.part: share.cpu_s for share in shares if share.whose == whose}


def _bound(results: Results, ours: Mapping[str, float]) -> str:
    facts = results.facts
    cores, wall = facts["profile: cores"], facts[f"profile: {OURS}: wall s"]
    host = sum(parts_of(results.shares, PRODUCTION).values())
    total, needed = sum(ours.values()) + host, sum(ours[part] for part in NEEDED) + host
    length, own = size(facts["profile: bytes"]), number(sum(ours.values()))
    share = f"{total / cores / wall * 100:.0f} %"
    return f"""\
**The bound.** A pull of {length} took {number(wall)} s. Beside the {own} s of CPU above, sshd and the dump program took
{number(host)} s of the same {cores:.0f} cores: {number(total)} s together. Were every core busy all the time, it
would take {number(total / cores)} s, so the pull was at {share} of what these cores can do with this work. With only
what is needed for each byte, and the host's part, it would take {number(needed / cores)} s.
"""


def _growth(charts: Sequence[tuple[str, str, str]]) -> str:
    held = {section for section, _, _ in charts}
    missing = [text for section, text in GROWN.items() if section not in held]
    found = ["## How cost grows\n", *(_shown(charts, section) for section in GROWN if section in held)]
    if missing:
        found.append(f"Not measured in these results: by {', by '.join(missing)} (`make bench GROWTH=1`).\n")
    return "\n".join(found)


def _shown(charts: Sequence[tuple[str, str, str]], wanted: str) -> str:
    return "".join(f"![{text}](performance/{file})\n" for section, file, text in charts if section == wanted)


def _where(results: Results) -> str:
    machine = "\n".join(f"- {name}: {told}" for name, told in results.machine.items())
    versions = ", ".join(f"{name} {told}" for name, told in results.versions.items())
    commands = "\n".join(f"# {name}\n{line}" for name, line in results.commands.items())
    return f"""\
## Where, with what

{machine}

{versions}.

```text
{commands}
```

All runs stand in [performance/results.json](performance/results.json).
"""
