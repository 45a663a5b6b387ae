"""Compiled kernels, kept on disk where that is possible and safe; elsewhere every start compiles them again.

numba's own cache (`cache=True`) ends the import where it can write nowhere, and a damaged file ends the call. Here one
file holds one compiled signature: a digest of the rest, a digest of what it was compiled from, the pickled code. It is
written under another name and renamed, so several processes may read and write at once.

Loading a file runs what is in it. A folder is trusted if it belongs to the package, as Python's own __pycache__, and
not everybody may write it, or if it is the user's own and nobody else may write it.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import logging
import os
import pickle
import secrets
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numba
from numba.core.compiler import CompileResult
from numba.core.serialize import dumps

DIGEST_BYTES = 32
TEMPORARY, LEFTOVER_S = ".kernel.tmp", 3600.0  # temporary files older than this are of a process that was killed
NOWHERE = (
    "compiled kernels cannot be kept, so every start compiles them again; set XDG_CACHE_HOME to a folder of yours that"
    " can be written"
)
COMPLETE = "complete.kernel"
PACKAGE = Path(__file__).resolve().parent

_log = logging.getLogger(__name__)
_reported: set[str] = set()  # every kind of message is logged once per process
_swept: set[Path] = set()  # folders that were cleaned of leftovers


class DamagedFileError(ValueError):
    """A file in the cache is not what was written."""


def njit(**options: Any) -> Callable[[Callable], Any]:
    """Decorate like `numba.njit(**options)`, and keep the compiled code on disk if possible."""

    def compiled(function: Callable) -> Any:
        kernel = numba.njit(**options)(function)
        kernel._cache = KernelCache(function)  # where numba.njit(cache=True) puts its own
        return kernel

    return compiled


class KernelCache:
    """What numba calls before and after it compiles a function for a signature."""

    def __init__(self, function: Callable) -> None:
        self._function = function
        self._stamp = stamp(function.__code__.co_filename)  # now: the file may be another one when it is compiled

    def load_overload(self, signature: Any, context: Any) -> CompileResult | None:
        """Return the code compiled earlier; None if there is none that fits."""
        context.refresh()
        name, expected = self._name(signature, context.codegen()), self._stamp
        for path, is_own in folders():
            try:
                content = read(path, is_own, name)
                if content.startswith(expected):
                    return CompileResult._rebuild(context, *pickle.loads(content[len(expected) :]))
            except OSError:
                continue
            except Exception as error:  # whatever damaged or foreign code raises: it is made again
                _report("damaged", f"a damaged file of compiled kernels in {path} is made again ({error})")
        return None

    def save_overload(self, signature: Any, result: CompileResult) -> None:
        """Keep the code in the first folder that takes it."""
        if result.library.has_dynamic_globals:  # it holds addresses of this process
            return
        failures = []
        try:
            name, content = self._name(signature, result.library.codegen), self._stamp + dumps(result._reduce())
            for path, is_own in folders():
                try:
                    is_new = write(path, is_own, name, content)
                except OSError as error:
                    failures.append(f"{path}: {error.strerror or error}")
                    continue
                if is_new and failures:
                    _report("moved", f"compiled kernels are kept in {path} ({'; '.join(failures)})")
                return
        except Exception as error:  # code that cannot be pickled still runs
            failures.append(repr(error))
        _report("nowhere", f"{NOWHERE} ({'; '.join(failures)})")

    def _name(self, signature: Any, codegen: Any) -> str:
        """File name: the function, and a digest of the installation, the signature and the processor."""
        key = (PACKAGE, sys.implementation.cache_tag, signature, codegen.magic_tuple())
        digest = hashlib.sha256(repr(key).encode()).hexdigest()[:24]
        return f"{self._function.__module__.rpartition('.')[2]}.{self._function.__qualname__}-{digest}.kernel"


def folders() -> Iterator[tuple[Path, bool]]:
    """Folders that may hold compiled kernels, in the order they are tried; False for the one of the package."""
    if numba.config.CACHE_DIR:
        yield Path(numba.config.CACHE_DIR).absolute() / "s4token", True
    yield PACKAGE / "__pycache__", False
    home = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(home):  # the standard says to ignore it then
        home = os.path.expanduser("~/.cache")
    if os.path.isabs(home):
        yield Path(home) / "s4token", True
    with contextlib.suppress(OSError):  # no temporary folder either
        yield Path(tempfile.gettempdir()).absolute() / f"s4token-{os.geteuid()}", True


def is_complete() -> bool:
    """Return whether `mark_complete` was called for the kernels of the package, as they are now, on this machine."""
    for path, is_own in folders():
        with contextlib.suppress(OSError, DamagedFileError):
            if read(path, is_own, COMPLETE) == _package_stamp():
                return True
    return False


def mark_complete() -> None:
    """Note in the first folder that takes it that all kernels have been compiled."""
    for path, is_own in folders():
        with contextlib.suppress(OSError):
            write(path, is_own, COMPLETE, _package_stamp())
            return


def _package_stamp() -> bytes:
    return stamp(str(PACKAGE / "kernel_cache.py"))


@cache
def stamp(source: str) -> bytes:
    """Digest of everything that compiled code depends on: all kernels, since they inline each other, and numba."""
    digest = hashlib.sha256(f"{numba.__version__} {sys.version}".encode())
    for path in sorted({*PACKAGE.glob("*.py*"), Path(source)}):
        with contextlib.suppress(OSError):
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.digest()


def read(path: Path, is_own: bool, name: str) -> bytes:
    """Return the content of a file; DamagedFileError if it is not what was written, OSError if it cannot be read."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK  # a pipe would block
    with _opened(path, is_own) as folder, open(os.open(name, flags, dir_fd=folder), "rb") as file:
        digest, content = file.read(DIGEST_BYTES), file.read()
    if hashlib.sha256(content).digest() != digest:
        raise DamagedFileError(name)
    return content


def write(path: Path, is_own: bool, name: str, content: bytes) -> bool:
    """Write a file in one piece or not at all; return whether the folder is new."""
    is_new = _make(path, is_own)
    temporary = f"{name}.{secrets.token_hex(4)}{TEMPORARY}"
    with _opened(path, is_own) as folder:
        if path not in _swept:
            _swept.add(path)
            _sweep(folder)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        try:
            with open(os.open(temporary, flags, 0o644, dir_fd=folder), "wb") as file:
                file.write(hashlib.sha256(content).digest() + content)
            os.replace(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(temporary, dir_fd=folder)
            raise
    return is_new


def _make(path: Path, is_own: bool) -> bool:
    """Make a folder unless it exists; return whether it is new."""
    if is_own:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if path.parent.stat().st_uid not in (0, os.geteuid()):  # under sudo, HOME may be another user's
            raise PermissionError(errno.EPERM, f"{path.parent} belongs to another user")
    try:
        path.mkdir(mode=0o700 if is_own else 0o777)
    except FileExistsError:
        return False
    return True


@contextlib.contextmanager
def _opened(path: Path, is_own: bool) -> Iterator[int]:
    """A descriptor of the folder; PermissionError if others may put files there."""
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        status = os.fstat(folder)
        if status.st_mode & (0o022 if is_own else 0o002) or (is_own and status.st_uid != os.geteuid()):
            raise PermissionError(errno.EPERM, "others may write it")
        yield folder
    finally:
        os.close(folder)


def _sweep(folder: int) -> None:
    """Remove the temporary files of processes that were killed."""
    for name in os.listdir(folder):
        if name.endswith(TEMPORARY):
            with contextlib.suppress(OSError):
                if time.time() - os.stat(name, dir_fd=folder, follow_symlinks=False).st_mtime > LEFTOVER_S:
                    os.unlink(name, dir_fd=folder)


def _report(kind: str, text: str) -> None:
    if kind not in _reported:
        _reported.add(kind)
        _log.warning(text)
