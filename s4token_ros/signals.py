"""SIGINT and SIGTERM end the node's process in time and in every state, with exit code 0."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
from pathlib import Path

SHARED_MEMORY = Path("/dev/shm")
GRACE_S = 1.5  # from the signal to the end of the process, whatever it is doing

_received = threading.Event()
_orderly = threading.Event()
_sockets: list[socket.socket] = []  # kept open


def watch() -> threading.Event:
    """Receive the signals in a thread of their own, since the main one may be busy; the event is set by the first.

    The process ends with exit code 0 at the second, or GRACE_S seconds later: a thread inside of numba or torch cannot
    be interrupted, and must not outlive what it uses. Before `end_orderly` it ends at the first: there is nothing to
    leave in order, and imports hold the interpreter for seconds. Called in the main thread; repeated calls change
    nothing.
    """
    if not _sockets:
        _sockets.extend(socket.socketpair())
        _sockets[1].setblocking(False)
        signal.set_wakeup_fd(_sockets[1].fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: None)
        threading.Thread(target=_wait, args=_sockets[:1], name="s4token signals", daemon=True).start()
    return _received


def end_orderly() -> None:
    """From now on the process has GRACE_S seconds for its end after a signal."""
    _orderly.set()


def _wait(reader: socket.socket) -> None:
    reader.recv(1)
    _received.set()
    if _orderly.is_set():
        reader.settimeout(GRACE_S)
        with contextlib.suppress(TimeoutError):
            reader.recv(1)
    leave(0)


def leave(code: int) -> None:
    """End the process at once, without the destructors of libraries whose threads are still at work."""
    try:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError, AttributeError):  # nobody reads it any more, or it is closed
                stream.flush()
        remove_segments(os.getpid())
    finally:
        os._exit(code)


def remove_segments(process: int) -> None:
    """Remove the shared memory of Fast DDS that a process owns, 70 MB each; only its destructors would do so.

    A segment is owned by the process that holds the lock on the file beside it (the name with _el); peers that read it
    keep what they have mapped.
    """
    with contextlib.suppress(OSError):
        fields = [line.split() for line in Path("/proc/locks").read_text(encoding="ascii").splitlines()]
        held = {row[5].rpartition(":")[2] for row in fields if row[1] == "FLOCK" and row[4] == str(process)}
        for lock in SHARED_MEMORY.glob("fastdds_*_el"):
            if str(lock.stat().st_ino) in held and not lock.name.startswith("fastdds_port"):
                lock.with_name(lock.name.removesuffix("_el")).unlink(missing_ok=True)
                lock.unlink(missing_ok=True)
