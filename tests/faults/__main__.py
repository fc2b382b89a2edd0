"""The whole campaign: `python -m tests.faults [--seed N] [pytest arguments]`."""

import argparse
import os
import secrets
import subprocess
import sys
import time
from pathlib import Path

from tests.faults.plan import MODE, SEED_NAME


def main() -> int:
    """Run every fault with one seed; pytest's exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--seed", type=int, default=os.environ.get("SEED") or secrets.randbelow(1_000_000))
    options, rest = parser.parse_known_args()
    print(f"seed {options.seed}: SEED={options.seed} make faults repeats this run", flush=True)
    folder = Path(__file__).parent
    # the longest first, and spread over the processes test by test
    argv = [sys.executable, "-m", "pytest", "-n", "2", "--dist", "worksteal", "-q", str(folder), *rest]
    begun = time.monotonic()
    environment = {**os.environ, MODE: "all", SEED_NAME: str(options.seed)}
    code = subprocess.run(argv, env=environment, cwd=folder.parents[1], check=False).returncode
    print(f"took {(time.monotonic() - begun) / 60:.1f} min, seed {options.seed}")
    return code


if __name__ == "__main__":
    sys.exit(main())
