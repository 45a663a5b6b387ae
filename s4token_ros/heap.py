"""The heap of the node's process (glibc): one for all threads, whose free memory goes back to the system."""

from __future__ import annotations

import ctypes
import os

ARENA_MAX = -8  # M_ARENA_MAX of malloc.h


def configure() -> bool:
    """Keep the memory of the process small; call it before threads and numpy. Return whether the C library can.

    All threads allocate from one heap: by default every thread gets one of its own, and keeps what it frees. numpy asks
    for huge pages for large arrays, and the kernel would fill them up again after they were freed.
    """
    os.environ.setdefault("NUMPY_MADVISE_HUGEPAGE", "0")
    return bool(_call("mallopt", ARENA_MAX, 1))


def release() -> None:
    """Return free memory to the system; else a model or a large cloud that is gone leaves some."""
    _call("malloc_trim", 0)


def _call(name: str, *values: int) -> int:
    """Call a function of glibc; 0 with another C library."""
    try:
        return getattr(ctypes.CDLL(None), name)(*values)
    except (OSError, AttributeError):
        return 0
