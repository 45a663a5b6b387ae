"""What this machine offers to our kernels."""

from __future__ import annotations

import os
from pathlib import Path


def workers() -> int:
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
