"""Threads for kernels, and what the processor can do."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

_own = threading.local()
_limiting = threading.Lock()


def thread_count() -> int:
    """Return the number of threads for the work of the calling thread, see `set_thread_limit`."""
    return min(processors(), getattr(_own, "limit", sys.maxsize))


def parallel_for(work: Callable[[int, int], object], count: int, min_part: int = 4096) -> None:
    """Call work(start, stop) on parts of range(count), one per processor; `work` must release the GIL.

    The calling thread takes the first part, threads that stay alive the others; in those, loops have one part.
    """
    parts = max(1, min(thread_count(), count // min_part))
    if parts == 1:
        work(0, count)
        return
    limits = np.linspace(0, count, parts + 1).astype(np.int64).tolist()
    others = [_helpers().submit(work, begin, end) for begin, end in pairwise(limits[1:])]
    try:
        work(0, limits[1])
    finally:
        wait(others)
    for other in others:
        other.result()


@lru_cache(maxsize=1)
def _helpers() -> ThreadPoolExecutor:
    """Threads for parts of loops; starting one takes longer than many parts do."""
    return ThreadPoolExecutor(processors(), "s4token part", setattr, (_own, "limit", 1))


def _after_fork() -> None:
    """Forget the helpers, which a forked process does not have, and a lock that one of them may have held."""
    global _limiting
    _helpers.cache_clear()
    _limiting = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def parallel_map(work: Callable[..., Any], *columns: Sequence[Any]) -> list[Any]:
    """list(map(work, *columns)), in threads; `work` must release the GIL."""
    rows = list(zip(*columns, strict=True))
    results: list[Any] = [None] * len(rows)

    def run(begin: int, end: int) -> None:
        for i in range(begin, end):
            results[i] = work(*rows[i])

    parallel_for(run, len(rows), 1)
    return results


def processors() -> int:
    """Return the number of processors of this process; OMP_NUM_THREADS lowers it, as for PyTorch."""
    try:
        available = len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        available = os.cpu_count() or 1
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    return max(1, min(available, int(wanted))) if wanted.isdigit() and int(wanted) > 0 else available


def cpu_flags() -> set[str]:
    """Return Linux's names of what the processor can do; empty on other systems."""
    try:
        return set(Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").split())
    except OSError:
        return set()


def set_thread_limit(count: int) -> None:
    """Limit the kernels of the calling thread, and torch in it if it is loaded, to `count` threads.

    Beside another busy thread, more threads than free processors would wait for each other.
    """
    _own.limit = count
    torch = sys.modules.get("torch")
    if torch is None:
        return
    with _limiting:
        before = torch.get_num_threads()
        torch.set_num_threads(max(1, min(count, before)))
        # Threads that start later get the old limit
        restoring = threading.Thread(target=torch.set_num_threads, args=(before,))
        restoring.start()
        restoring.join()
