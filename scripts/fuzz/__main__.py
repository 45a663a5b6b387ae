"""Run fuzz trials: `python -m scripts.fuzz files --count 20000`; exit code 1 if one of them found a failure.

Every trial module has `run(count, seed, out) -> Outcome`. Inputs follow from the seed and their number alone; those
that fail are kept below `--out`, where clouds and files also continue after an interruption.
"""

from __future__ import annotations

import argparse
import sys
import time
from importlib import import_module
from pathlib import Path

from scripts.fuzz.outcome import Outcome

COUNTS = {"clouds": 20000, "files": 20000, "guided": 20000, "checkpoints": 2000, "kills": 300, "parameters": 3000}


def main(arguments: list[str] | None = None) -> int:
    """Run the named trials and print one line each."""
    parser = argparse.ArgumentParser(prog="make fuzz", description="Try malformed input of one or more kinds.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(COUNTS)}; default: clouds files")
    counts = ", ".join(f"{name} {count}" for name, count in COUNTS.items())
    parser.add_argument("--count", type=int, help=f"inputs per trial; default: {counts}")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--out", type=Path, default=Path("out/fuzz"), help="folder of failing inputs (default: %(default)s)"
    )
    options = parser.parse_args(arguments)
    names = options.names or ["clouds", "files"]
    if unknown := sorted(set(names) - set(COUNTS)):
        parser.error(f"no trial {', '.join(unknown)}; there are {', '.join(COUNTS)}")
    passed = True
    for name in names:
        folder = options.out / name
        folder.mkdir(parents=True, exist_ok=True)
        start = time.monotonic()
        found = import_module(f"scripts.fuzz.{name}").run(options.count or COUNTS[name], options.seed, folder)
        found = Outcome(**found) if isinstance(found, dict) else found
        print(line(name, found, time.monotonic() - start), *found.examples, sep="\n  ", flush=True)
        passed &= found.passed
    return 0 if passed else 1


def line(name: str, found: Outcome, seconds: float) -> str:
    """Return one line about a trial."""
    verdict = "ok" if found.passed else "FAILED"
    return (
        f"{name}: {verdict}: {found.tried} tried in {seconds:.0f} s, {found.refused} refused, {found.crashes} crashes, "
        f"{found.hangs} hangs, {found.tracebacks} tracebacks, peak {found.peak_bytes / 2**20:.0f} MiB"
    )


if __name__ == "__main__":
    sys.exit(main())
