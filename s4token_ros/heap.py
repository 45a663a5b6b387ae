"""The heap of the node's process (glibc): one for all threads, whose free memory goes back to the system."""

from __future__ import annotations

import ctypes
import gc
import os

ARENA_MAX, MMAP_THRESHOLD, TRIM_THRESHOLD = -8, -3, -1  # of malloc.h
MAPPED, TRIMMED = 16 << 20, 64 << 20  # bytes
# For the environment, since glibc reads it before the process begins: threads keep freed blocks of up to so many bytes
# only. By default each of 60 threads keeps seven of every size up to 1 kB, 14 MB together, which takes hours.
TUNABLES = "glibc.malloc.tcache_max=256"
SMALL, KEPT = 1024, 7  # numpy keeps so many freed blocks of each size below so many bytes, 4 MB together


def configure() -> bool:
    """Keep the memory of the process small; call it before threads and numpy. Return whether the C library can.

    All threads allocate from one heap: by default every thread gets one of its own, and keeps what it frees. Blocks of
    MAPPED bytes and more stay out of it, so that no small block that lives long splits their place (by default glibc
    takes blocks of up to 32 MB from the heap, once one was freed); messages fit below, since every page of a mapped
    block costs a fault. Up to TRIMMED bytes wait for the next cloud at the heap's end.

    numpy asks for huge pages for large arrays, and the kernel would fill them up again after they were freed. Threads
    of OpenBLAS, which multiplies for numpy, pack a matrix at another position of their buffers for each number of its
    rows, and keep all pages that were ever touched; one thread packs at one position. MKL, which multiplies for torch,
    keeps freed buffers of every size for every thread, up to 5 MB each.
    """
    os.environ.setdefault("NUMPY_MADVISE_HUGEPAGE", "0")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.environ.setdefault("MKL_DISABLE_FAST_MM", "1")
    options = ((ARENA_MAX, 1), (MMAP_THRESHOLD, MAPPED), (TRIM_THRESHOLD, TRIMMED))
    return all(_call("mallopt", *option) for option in options)


def fill() -> None:
    """Let numpy keep now what it would come to keep in hours, as if memory leaked: freed blocks of every small size."""
    import numpy as np  # not before `configure`

    blocks = [np.empty(size, np.uint8) for size in range(1, SMALL) for _ in range(KEPT)]
    del blocks


def release() -> None:
    """Return free memory to the system; else a model or a large cloud that is gone leaves some."""
    gc.collect()  # also empties Python's lists of freed objects, up to 2000 tuples of each length, filled over hours
    _call("malloc_trim", 0)


def _call(name: str, *values: int) -> int:
    """Call a function of glibc; 0 with another C library."""
    try:
        return getattr(ctypes.CDLL(None), name)(*values)
    except (OSError, AttributeError):
        return 0
