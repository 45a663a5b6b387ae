"""Texts of services and parameters are encoded in one thread that yields to the clouds and gives up at a deadline."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError  # another than TimeoutError before Python 3.11
from typing import Any

from s4token_model import constants, vocabulary

QUEUE = 2  # one request is worked on while another waits; further ones are refused
NICENESS = 10  # clouds are labeled at some ten times the weight of the texts


class TextEncoding:
    """Makes vocabularies, one at a time; every caller has one, or a ValueError, within `deadline_s()` seconds."""

    def __init__(self, deadline_s: Callable[[], float]) -> None:
        self._deadline_s = deadline_s
        self._closed = threading.Event()
        self._free = threading.BoundedSemaphore(QUEUE)
        self._pool = ThreadPoolExecutor(1, "s4token texts", _lower_priority)

    def vocabulary(
        self, segmenter: Any, names: Sequence[str], templates: Sequence[str], thresholds: Sequence[float] | float
    ) -> Any:
        """Return the Vocabulary that `segmenter` makes; ValueError if it is too large, too late, or others wait.

        No `templates`: those of the segmenter's config.
        """
        check_size(names, templates)
        if not self._free.acquire(blocking=False):
            raise ValueError(f"{QUEUE} other requests are at work or waiting; try again")
        seconds, end = self._deadline_s(), time.monotonic() + self._deadline_s()
        late = f"{len(names)} texts were not encoded in services.deadline, {seconds:g} s"

        def check() -> None:
            if self._closed.is_set() or time.monotonic() > end:
                raise ValueError("the node ends" if self._closed.is_set() else f"{late}; give fewer, or raise it")

        def work() -> Any:
            try:
                check()
                return segmenter.make_vocabulary(names, templates, thresholds, check)
            finally:
                self._free.release()

        future = self._pool.submit(work)
        try:
            return future.result(seconds)
        except FutureTimeoutError:
            raise ValueError(f"{late}; give fewer, or raise it") from None

    def close(self) -> None:
        """Give up what is at work."""
        self._closed.set()
        self._pool.shutdown(wait=False)


def check_size(names: Sequence[str], templates: Sequence[str]) -> None:
    """Raise ValueError if the names or the templates are more than a live node takes."""
    letters = sum(map(len, names))
    limits = (
        (len(names), constants.MAX_LIVE_NAMES, "words"),
        (letters, constants.MAX_LIVE_LETTERS, "letters in all words"),
        (len(templates), constants.MAX_LIVE_TEMPLATES, "templates"),
        (max(map(len, templates), default=0), constants.MAX_NAME_LETTERS, "letters in a template"),
    )
    for count, limit, what in limits:
        if count > limit:
            raise ValueError(f"{count} {what}; the node takes at most {limit}")
    vocabulary.checked_names(names)


def _lower_priority() -> None:
    """Lower the priority of the calling thread; on Linux, threads have their own."""
    with contextlib.suppress(OSError, AttributeError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
