"""docs/faults.md, written from the tests: `python -m tests.faults.report` writes it, `--check` compares."""

import sys
from pathlib import Path

from tests.faults.catalogue import Fault, faults

TARGET = Path(__file__).parents[2] / "docs" / "faults.md"
_HEAD = """\
# Faults

What the tests do to pullagent, and how each must end. This file is written from the tests by
`python -m tests.faults.report`; do not edit it.

No fault may leave a published snapshot that does not restore, or harm one that does; the next run succeeds without
hand work; the message says what to do. After every fault one checker (`tests/faults/judge.py`) makes sure that

- every snapshot that `list` calls good passes its hashes, decrypts and decompresses to the manifest's plain hash with
  the stock programs, and holds what the source holds;
- the snapshots published before are byte for byte the same;
- the run did not end with 0 unless a whole snapshot was published;
- standard error has `error:` and, where there is something to do, `hint:`, and never a traceback;
- a run that ended by itself left nothing in staging, no process, and nothing on the host; one that was killed left
  nothing that outlives the next run;
- once the fault is lifted, `pullagent run` ends with 0.

`make faults` tries the number of cases under *in full*, with a seed that it prints (`SEED=N make faults` repeats it);
`make test` the fixed sample under *sample*.

"""


def table(entries: list[Fault]) -> str:
    """The table, a part for each stage."""
    lines, stage = [], ""
    for entry in entries:
        if entry.where != stage:
            stage = entry.where
            lines += ["", f"## {stage[0].upper()}{stage[1:]}", ""]
            lines += ["| Fault | How it must end | In full | Sample | Test |", "|---|---|---|---|---|"]
        cells = [entry.fault, entry.outcome, entry.full, entry.sample, f"`{entry.test}`"]
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines[1:]) + "\n"


def document() -> str:
    """The whole file."""
    return _HEAD + table(list(faults()))


if __name__ == "__main__":
    if "--check" in sys.argv:
        sys.exit(TARGET.read_text() != document())
    TARGET.write_text(document())
