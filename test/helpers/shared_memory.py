"""What Fast DDS leaves in /dev/shm: segments, each beside a file NAME_el that its process locks while it lives."""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path

SHARED_MEMORY = Path("/dev/shm")


@contextlib.contextmanager
def abandoned(lock: Path) -> Iterator[bool]:
    """Whether no living process holds a lock; while the block runs, none takes it."""
    with contextlib.ExitStack() as stack:
        try:
            fcntl.flock(stack.enter_context(lock.open()), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:  # held, or gone
            yield False
        else:
            yield True


def segments_of_ended_processes() -> set[Path]:
    """The segments that no living process holds, but for ports, which all processes of a machine use."""
    names = {path.name.removesuffix("_el") for path in SHARED_MEMORY.glob("fastdds_*")}
    found = set()
    for path in (SHARED_MEMORY / name for name in names if not name.startswith("fastdds_port")):
        lock = path.with_name(f"{path.name}_el")
        with abandoned(lock) as is_abandoned:
            if is_abandoned or not lock.exists():
                found.add(path)
    return found


def remove_abandoned() -> None:
    """Remove what killed nodes leave, 70 MB each."""
    for lock in SHARED_MEMORY.glob("fastdds_*_el"):
        with abandoned(lock) as is_abandoned:
            if is_abandoned:
                lock.with_name(lock.name.removesuffix("_el")).unlink(missing_ok=True)
                lock.unlink(missing_ok=True)
