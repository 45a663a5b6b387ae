"""What this machine offers to our kernels."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

_own = threading.local()


def workers() -> int:
    """Processors for the work of the calling thread, see `limit`."""
    return min(processors(), getattr(_own, "limit", sys.maxsize))


def processors() -> int:
    """Processors this process may run on; OMP_NUM_THREADS lowers it, as for PyTorch."""
    try:
        available = len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        available = os.cpu_count() or 1
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    return max(1, min(available, int(wanted))) if wanted.isdigit() and int(wanted) > 0 else available


def processor_flags() -> set[str]:
    """What the processor can do, by Linux's names for it; nothing where that is not known."""
    try:
        return set(Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").split())
    except OSError:
        return set()


def limit(count: int) -> None:
    """Let the calling thread, and torch in it, once loaded, compute on `count` processors: beside another busy thread
    more would wait for each other."""
    _own.limit = count
    torch = sys.modules.get("torch")
    if torch is None:
        return
    before = torch.get_num_threads()
    torch.set_num_threads(max(1, min(count, before)))
    threading.Thread(target=torch.set_num_threads, args=(before,)).start()  # what later threads begin with
