"""Try many inputs in a child process with limited memory and time; the parent notices crashes and hangs."""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import signal
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from tqdm import tqdm

from scripts.fuzz.outcome import MAX_BYTES, Outcome

INPUTS_PER_PROCESS = 20_000  # then a fresh one, so that peaks are those of inputs
POLL_SECONDS = 0.05


class Trial(NamedTuple):
    """What to try; `make` must give the same input for the same number in every process."""

    make: Callable[[int], Any]
    attempt: Callable[[Any, Path], None]  # with a scratch folder; ValueError means refused
    keep: Callable[[Any, Path], None]  # write a failing input to this path, a suffix may be added
    seconds: float  # limit per input


def run(trial: Trial, count: int, seed: int, out: Path) -> Outcome:
    """Try inputs 0 to count - 1, or those that an interrupted run with the same seed and folder left."""
    state = out / f"progress-{seed}.json"
    done, found = 0, Outcome()
    if state.exists():
        saved = json.loads(state.read_text())
        done, found = min(saved["done"], count), Outcome(**saved["found"])
    with tqdm(total=count, initial=done, unit="input", desc=out.name, disable=None) as bar, _folder() as scratch:
        while done < count:
            end = min(done + INPUTS_PER_PROCESS, count)
            before, part = done, Outcome()
            done = _run_process(trial, range(done, end), out / f"{seed}", Path(scratch), part)
            found.add(part)
            bar.update(done - before)
            out.mkdir(parents=True, exist_ok=True)
            state.write_text(json.dumps({"done": done, "found": asdict(found)}))
    return found


def _folder() -> tempfile.TemporaryDirectory:
    """Make a scratch folder, in memory if possible."""
    return tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None, prefix="fuzz-")


def _run_process(trial: Trial, numbers: range, prefix: Path, scratch: Path, found: Outcome) -> int:
    """Try `numbers` in one child process until one ends it; return the number after the last one tried."""
    context = multiprocessing.get_context("fork")
    shared = context.Array("q", [numbers.start, time.monotonic_ns(), 0, 0, 0])
    child = context.Process(target=_try_all, args=(trial, numbers, prefix, scratch, shared))
    child.start()
    hung = False
    while child.is_alive() and not hung:
        child.join(POLL_SECONDS)
        hung = child.is_alive() and time.monotonic_ns() - shared[1] > trial.seconds * 1e9
    if hung:
        os.kill(child.pid or 0, signal.SIGKILL)
        child.join()
    number, _, found.refused, found.tracebacks, found.peak_bytes = shared[:]
    for path in sorted(prefix.parent.glob(f"{prefix.name}-*.txt")) if found.tracebacks else ():
        if numbers.start <= int(path.stem.split("-")[-1]) < numbers.stop:
            found.note(f"traceback: {path}")
    found.tried = min(number + 1, numbers.stop) - numbers.start
    if child.exitcode:
        found.hangs, found.crashes = int(hung), int(not hung)
        kept = prefix.with_name(f"{prefix.name}-{'hang' if hung else 'crash'}-{number}")
        trial.keep(trial.make(number), kept)
        found.note(f"{'hang' if hung else f'crash, exit code {child.exitcode}'}: {kept}")
        return number + 1
    return numbers.stop


def _try_all(trial: Trial, numbers: range, prefix: Path, scratch: Path, shared: Any) -> None:
    """The child process: its state is (number, when it began, refused, tracebacks, peak bytes)."""
    warnings.simplefilter("ignore")
    first = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    limit = virtual_bytes() + MAX_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for number in numbers:
        value = trial.make(number)
        shared[0], shared[1] = number, time.monotonic_ns()
        try:
            trial.attempt(value, scratch)
        except BaseException as reason:
            if isinstance(reason, ValueError) and not from_memory(reason):
                shared[2] += 1
            else:
                shared[3] += 1
                kept = prefix.with_name(f"{prefix.name}-traceback-{number}")
                trial.keep(value, kept)
                kept.with_name(f"{kept.name}.txt").write_text(traceback.format_exc())
        shared[4] = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - first) * 1024


def from_memory(reason: BaseException | None) -> bool:
    """Whether an exception came from too large an allocation, even if a handler turned it into another one."""
    while reason is not None:
        if isinstance(reason, MemoryError):
            return True
        reason = reason.__cause__ or reason.__context__
    return False


def virtual_bytes() -> int:
    """Return the address space that this process uses."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
