"""Files and folders that appear complete or not at all, whenever their writer is killed.

What is written goes to a temporary sibling with a unique name, is flushed to the disk, and takes its name in one step.
A writer holds a lock on its temporary, which the kernel releases when the process ends: leftovers without a lock are
swept by the next writer in the same folder.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path
from typing import IO

TEMPORARY = ".s4token-partial"  # suffix of what is being written
ASIDE = ".s4token-previous"  # suffix of a folder that is being replaced where two names cannot be exchanged
WAIT_SECONDS = 10.0  # that readers and writers of a folder wait for each other
AT_FDCWD, RENAME_EXCHANGE = -100, 2  # of Linux


@contextmanager
def file(path: str | Path) -> Iterator[IO[bytes]]:
    """Open a temporary file that replaces `path` when the block succeeds and is removed otherwise."""
    path = Path(path).absolute()
    sweep(path.parent)
    temporary, lock = _locked_temporary(path, os.O_RDWR | os.O_CREAT | os.O_EXCL)
    try:
        with open(lock, "wb") as handle:
            yield handle
            handle.flush()
            os.fsync(lock)
            os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync(path.parent)


@contextmanager
def folder(path: str | Path) -> Iterator[Path]:
    """Make a temporary folder that becomes `path`, or takes its place, when the block succeeds.

    A folder that is there is replaced with all that it holds. ValueError if that cannot be done, see check_folder.
    """
    path = Path(path).resolve()  # the folder itself, not a link to it
    check_folder(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with scratch(path) as temporary:
        yield temporary
        move(temporary, path)


@contextmanager
def scratch(path: Path) -> Iterator[Path]:
    """Make a temporary folder beside `path` for the block; if its process is killed, the next writer there removes it.

    What is to stay is moved out of it, see `move`.
    """
    path = path.absolute()
    sweep(path.parent)
    temporary, lock = _locked_temporary(path)
    try:
        yield temporary
    finally:  # what failed, or the folder that was there before
        shutil.rmtree(temporary, ignore_errors=True)
        os.close(lock)


def move(new: Path, path: Path) -> None:
    """Give a file or folder the name `path` on the same disk in one step, flushed; a file or folder there is replaced.

    Of a folder that is replaced, what it was is called `new` afterwards, or is gone.
    """
    for parent, _, names in os.walk(new, topdown=False):
        for one in (*(Path(parent, name) for name in names), Path(parent)):
            if not one.is_symlink():
                _sync(one)
    if new.is_dir():
        _switch(new, path)
    else:
        _sync(new)
        os.replace(new, path)
        _sync(path.parent)


def check_folder(path: str | Path) -> None:
    """Raise ValueError if `path` cannot become a folder that is replaced in one step; call it before long work."""
    path = Path(path).resolve()
    if path.exists() and not path.is_dir():
        raise ValueError(f"{path} is a file; give a folder")
    if os.path.ismount(path):
        raise ValueError(f"{path} is a mount point, which cannot be replaced in one step; give a folder below it")
    parent = next(folder for folder in path.parents if folder.exists())
    if not (parent.is_dir() and os.access(parent, os.W_OK | os.X_OK)):
        raise ValueError(f"{path} cannot be written: {parent} is not a folder that may be written to; give another one")


@contextmanager
def reading(path: Path) -> Iterator[Path]:
    """Keep writers from replacing a folder while the block reads it; yields the folder, see `recovered`.

    After WAIT_SECONDS of the other, reader and writer go on: a process that was stopped does not stop all others.
    """
    while True:
        path = recovered(path)
        lock = os.open(path, os.O_RDONLY)
        _lock(lock, fcntl.LOCK_SH)
        if path.exists() and os.path.samestat(os.fstat(lock), path.stat()):
            break
        os.close(lock)  # it was replaced before it was locked
    try:
        yield path
    finally:
        os.close(lock)


def recovered(path: Path) -> Path:
    """Return the folder `path`, put back if its writer was killed between two steps; `path` if there is none.

    Where it cannot be put back, the former folder is returned under its present name.
    """
    deadline = time.monotonic() + WAIT_SECONDS
    while not os.path.lexists(path) and (aside := next(path.parent.glob(f".{escape(path.name)}.*{ASIDE}"), None)):
        lock = _lock_of_abandoned(aside)
        if lock is None and time.monotonic() < deadline:
            time.sleep(0.01)  # its writer lives and is about to finish
            continue
        with suppress(OSError):
            aside.rename(path)
        if lock is not None:
            os.close(lock)
        return path if path.exists() else aside
    return path


def sweep(parent: Path) -> None:
    """Remove the temporaries in a folder whose writers have ended."""
    try:
        leftovers = [Path(entry) for entry in os.scandir(parent) if entry.name.endswith((TEMPORARY, ASIDE))]
    except OSError:
        return
    for leftover in leftovers:
        if leftover.suffix == ASIDE:
            recovered(parent / leftover.name[1:].rsplit(".", 2)[0])
        lock = _lock_of_abandoned(leftover)
        if lock is None:
            continue
        with suppress(OSError):
            shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
        os.close(lock)


def _lock_of_abandoned(leftover: Path) -> int | None:
    """Return the lock of a temporary that no living process holds, as a file descriptor."""
    try:
        lock = os.open(leftover, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        return None
    return lock


def _locked_temporary(path: Path, flags: int | None = None) -> tuple[Path, int]:
    """Create a temporary file with the flags of os.open, or a folder without, and hold its lock."""
    while True:
        temporary = _sibling(path, TEMPORARY)
        if flags is None:
            temporary.mkdir()
        try:
            lock = os.open(temporary, os.O_RDONLY if flags is None else flags, 0o666)
        except FileNotFoundError:
            if flags is not None or not temporary.parent.is_dir():  # /proc, for one, takes no files
                raise
            continue  # another process swept it before it was locked
        _lock(lock)
        if temporary.exists():
            return temporary, lock
        os.close(lock)


def _lock(handle: int, kind: int = fcntl.LOCK_EX) -> None:
    """Wait for a lock, but not for ever; on a file system without locks nothing is swept."""
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        try:
            return fcntl.flock(handle, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.01)
        except OSError:
            return


def _sibling(path: Path, suffix: str) -> Path:
    name = path.name if suffix == ASIDE else path.name[:40]  # file systems limit the length of names
    return path.with_name(f".{name}.{secrets.token_hex(6)}{suffix}")


def _switch(new: Path, path: Path) -> None:
    """Give the folder `new` the name `path`; the folder that was there is called `new` afterwards, or is gone."""
    if not path.exists():
        os.rename(new, path)
    else:
        shutil.copymode(path, new)
        readers = os.open(path, os.O_RDONLY)
        try:
            _lock(readers)
            if not _exchange(new, path):
                _switch_in_two_steps(new, path)
        finally:
            os.close(readers)
    _sync(path.parent)


def _exchange(one: Path, other: Path) -> bool:
    """Exchange the names of two folders in one step; False where the system or the file system cannot."""
    rename = getattr(ctypes.CDLL(None), "renameat2", None)
    names = [os.fsencode(path) for path in (one, other)]
    return rename is not None and rename(AT_FDCWD, names[0], AT_FDCWD, names[1], RENAME_EXCHANGE) == 0


def _switch_in_two_steps(new: Path, path: Path) -> None:
    """Set the folder `path`, which is locked, aside, where `recovered` finds it, and give its name to `new`."""
    aside = _sibling(path, ASIDE)
    os.rename(path, aside)
    os.rename(new, path)
    shutil.rmtree(aside, ignore_errors=True)


def _sync(path: Path) -> None:
    """Flush a file or a folder to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        with suppress(OSError):  # not every file system syncs folders
            os.fsync(handle)
    finally:
        os.close(handle)
