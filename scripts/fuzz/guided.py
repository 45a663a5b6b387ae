"""Coverage-guided trials of the readers: libFuzzer keeps the damaged files that reach new code, and damages those.

Needs atheris (requirements-fuzz.txt). `python -m scripts.fuzz.guided SUFFIX FOLDER [OPTIONS]` is the program of
one suffix; `run` starts it for each, with a corpus below `out` that later runs continue.
"""

from __future__ import annotations

import importlib.util
import re
import resource
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

from scripts.fuzz.outcome import MAX_BYTES, Outcome
from scripts.fuzz.sandbox import from_memory, virtual_bytes

SUFFIXES = ("ply", "pcd", "npy", "las", "off", "obj", "mcap", "db3")
SECONDS = 30
MAX_LENGTH = 40_000


def run(count: int, seed: int, out: Path) -> Outcome:
    """Try `count` files, as many of each suffix."""
    if importlib.util.find_spec("atheris") is None:
        raise SystemExit("this trial needs atheris: pip install -r requirements-fuzz.txt")
    _write_seeds(out)
    found = Outcome()
    for suffix in SUFFIXES:
        folder = out / suffix
        kept = set(out.glob(f"{suffix}-*"))
        options = [
            f"-runs={count // len(SUFFIXES)}",
            f"-seed={seed + 1}",
            f"-timeout={SECONDS}",
            f"-max_len={MAX_LENGTH}",
        ]
        options += [f"-artifact_prefix={out}/{suffix}-", "-rss_limit_mb=0", "-print_final_stats=1", "-verbosity=1"]
        command = [sys.executable, "-m", "scripts.fuzz.guided", suffix, str(folder), *options]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace")
        (out / f"{suffix}.log").write_text(done.stderr + done.stdout)
        found.add(_outcome(done, sorted(set(out.glob(f"{suffix}-*")) - kept)))
    return found


def _write_seeds(out: Path) -> None:
    from scripts.fuzz import seed_files  # imports the readers, which `main` must be the first to import

    with tempfile.TemporaryDirectory() as scratch:
        for seeds in seed_files.make(Path(scratch)).values():
            for seed in seeds:
                suffix = seed.name.rpartition(".")[2]
                if suffix in SUFFIXES and seed.name == seed.read:  # a file that is read by itself
                    (out / suffix).mkdir(parents=True, exist_ok=True)
                    (out / suffix / seed.name.replace("/", "-")).write_bytes(seed.data)


def _outcome(done: subprocess.CompletedProcess, kept: list[Path]) -> Outcome:
    """Return the counts of one process: it ends at the first failure, whose input is `kept`."""

    def last(pattern: str) -> int:
        return int(([0] + re.findall(pattern, done.stderr))[-1])

    found = Outcome(last(r"number_of_executed_units:\s*(\d+)"), peak_bytes=last(r"peak_rss_mb:\s*(\d+)") * 2**20)
    if done.returncode:
        found.hangs = int("timeout" in done.stderr)
        found.tracebacks = int("Uncaught Python exception" in done.stdout + done.stderr)
        found.crashes = int(not found.hangs and not found.tracebacks)
        found.note(f"exit code {done.returncode}: {', '.join(map(str, kept)) or 'no input kept'}")
    return found


def main(suffix: str, arguments: list[str]) -> None:
    """Run libFuzzer on the reader of one suffix; ends the process."""
    import atheris

    with atheris.instrument_imports(include=["s4token_model.io", "laspy", "rosbags.rosbag2", "rosbags.serde"]):
        from scripts.fuzz import files
    warnings.simplefilter("ignore")
    limit = virtual_bytes() + MAX_BYTES
    scratch = tempfile.TemporaryDirectory(prefix="fuzz-")
    path = Path(scratch.name) / f"a.{suffix}"

    def attempt(data: bytes) -> None:
        path.write_bytes(data)
        try:
            files.read(path)
        except ValueError as reason:
            if from_memory(reason):
                raise MemoryError from reason

    atheris.Setup([sys.argv[0], *arguments], attempt)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
