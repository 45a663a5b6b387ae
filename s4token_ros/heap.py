"""The heap of the node's process (glibc): one for all threads, whose free memory goes back to the system."""

from __future__ import annotations

import ctypes

ARENA_MAX = -8  # M_ARENA_MAX of malloc.h


def use_one() -> bool:
    """Let all threads that start from now on allocate from one heap; return whether the C library can.

    By default every thread gets a heap of its own and keeps what it frees: 110 MB more with clouds of many sizes, and
    growing, at the same rate of clouds.
    """
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
