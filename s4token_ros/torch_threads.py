"""Two threads that run the network for the callbacks, beside those of the worker and of the texts.

For every thread that it runs in, torch keeps compiled code, buffers and further threads, and glibc an arena. The
executor has many threads, and any of them may get the next callback.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P, T = ParamSpec("P"), TypeVar("T")

_loading = ThreadPoolExecutor(1, "s4token model")
_answering = ThreadPoolExecutor(1, "s4token answer")


def load(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Return what `work` does to load a model, which may take long; the calling thread waits."""
    return _loading.submit(work, *args, **kwargs).result()


def answer(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Return what `work` computes for a service, while a model may be loading; the calling thread waits."""
    return _answering.submit(work, *args, **kwargs).result()
