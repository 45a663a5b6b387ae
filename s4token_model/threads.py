"""How many threads our own kernels may use."""

from __future__ import annotations

import os


def workers() -> int:
    """Processors this process may run on; OMP_NUM_THREADS lowers it, as for PyTorch."""
    try:
        available = len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        available = os.cpu_count() or 1
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    return max(1, min(available, int(wanted))) if wanted.isdigit() and int(wanted) > 0 else available
