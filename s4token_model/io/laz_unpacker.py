"""Unpack LAZ points in a process of their own, so that damaged data cannot end ours, or fill its memory.

The native decompressor trusts sizes inside the compressed data: on damaged ones it panics, allocates without end, or
aborts. This file is also the program of that process; there, it must import nothing but lazrs and the standard library.
"""

from __future__ import annotations

import importlib.util
import mmap
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO

MEMORY = 2**30  # bytes that the process may take beside the file and the unpacked points
MAX_RECORD = 4096  # bytes; 34 and 6 for each part of a point
THREADS = 8
POINTS_PER_SECOND = 100_000  # far below any machine's, for the time limit
START_SECONDS = 60


def unpack(path: Path, offset: int, record: bytes, step: int, count: int) -> mmap.mmap | bytes:
    """Return `count` LAZ points of `step` bytes each, which begin at byte `offset` of the file.

    `record` is the content of the file's LASzip record. ValueError says what is wrong with the compressed points.
    """
    spec = importlib.util.find_spec("lazrs")
    if spec is None or spec.origin is None:
        raise ValueError("this needs the package lazrs: pip install lazrs")
    if len(record) > MAX_RECORD:
        raise ValueError("its LASzip record is damaged")
    if not count:
        return b""
    site = Path(spec.origin).parents[1 if spec.submodule_search_locations else 0]
    with _memory_file() as out:
        out.truncate(count * step)
        numbers = map(str, (offset, step, count, out.fileno()))
        command = [sys.executable, "-I", "-S", __file__, str(site), str(path.absolute()), record.hex(), *numbers]
        _run(command, out.fileno(), START_SECONDS + count / POINTS_PER_SECOND)
        return mmap.mmap(out.fileno(), count * step)


def _memory_file() -> IO[bytes]:
    """Open a file without a name that two processes can map: in memory, where the system has such files."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("laz"), "r+b")
    return tempfile.TemporaryFile()


def _run(command: list[str], inherited: int, seconds: float) -> None:
    """Run a command that inherits one file descriptor; ValueError, with what it printed, when it fails."""
    threads = {"RAYON_NUM_THREADS": str(min(THREADS, os.cpu_count() or 1)), "MALLOC_ARENA_MAX": "2"}
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # where Rust reports its panics
            pass_fds=[inherited],
            env=os.environ | threads,
            timeout=seconds,
        )
    except subprocess.TimeoutExpired:
        raise ValueError("its compressed points take too long to unpack") from None
    if done.returncode:
        raise ValueError(done.stdout.decode("utf-8", "replace").strip() or "its compressed points are damaged")


def _unpack_here(site: str, path: str, record: bytes, offset: int, step: int, count: int, out: int) -> None:
    """Unpack within this process into the file descriptor `out`, with a limit on memory."""
    import resource

    limit = MEMORY + 2 * (count * step + os.path.getsize(path))
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sys.path.append(site)
    import lazrs

    if lazrs.LazVlr(record).item_size() != step:
        raise ValueError("its LASzip record does not fit its points")
    with open(path, "rb") as source:
        source.seek(offset)
        lazrs.ParLasZipDecompressor(source, record).decompress_many(mmap.mmap(out, count * step))


def _main(site: str, path: str, record: str, *numbers: str) -> int:
    try:
        _unpack_here(site, path, bytes.fromhex(record), *map(int, numbers))
    except Exception as reason:
        print(" ".join(str(reason).split()))
        return 1
    except BaseException:  # a panic of Rust
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(_main(*sys.argv[1:]))
