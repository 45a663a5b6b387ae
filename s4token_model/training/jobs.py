"""Apply a function to many items: in this process, in several on one machine, or on a Ray cluster."""

from __future__ import annotations

import math
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from tqdm import tqdm

Item, Result = TypeVar("Item"), TypeVar("Result")


class WorkerDied(NamedTuple):
    """The result of an item whose process ended on it: killed, out of memory, or crashed in native code."""

    item: Any


def run(
    function: Callable[[Item], Result], items: list[Item], workers: int = 1, ray_address: str | None = None
) -> Generator[Result | WorkerDied]:
    """Yield function(item) as results come, in any order; a module-level function, which other processes find.

    `workers` are processes of one thread; one item, or one worker, needs none. A process that dies is replaced, and the
    item that ended it gives WorkerDied. `ray_address` is "auto", "local" or the address of a cluster whose machines see
    the same files, see ray.init.
    """
    if ray_address:
        yield from _run_on_ray(function, items, ray_address)
    elif workers > 1 and len(items) > 1:
        yield from _run_in_processes(function, items, min(workers, len(items)))
    else:
        yield from map(function, items)


def write_missing(
    function: Callable[..., list[str]], items: list[tuple], title: str, workers: int = 1, ray: str | None = None,
    seconds: float = math.inf,
) -> list[Path]:  # fmt: skip
    """Call function(file, ...), which returns messages, for the items whose file is missing; return the files there.

    An item that fails, or whose process dies, is named and counted, and the next call tries it again. After `seconds`
    no further item is begun.
    """
    missing = [(function, *item) for item in items if not item[0].is_file()]
    died, end = [], time.monotonic() + seconds
    with closing(run(_call, missing, workers, ray)) as results:
        for messages in tqdm(results, title, len(missing), disable=not missing):
            if isinstance(messages, WorkerDied):
                died.append(messages.item[1].stem)
                messages = [f"{died[-1]} left out: its process died, killed by the system or an error in native code"]
            for message in messages:
                tqdm.write(message)
            if time.monotonic() > end:
                break
    if died:
        tqdm.write(f"{len(died)} of {len(missing)} {title} left out because their processes died: {', '.join(died)}")
    return [out for out, *_ in items if out.is_file()]


def _call(item: tuple) -> list[str]:
    try:
        return item[0](*item[1:])
    except Exception as error:  # one bad item must not end a long run; it is reported and counted
        return [f"{item[1].stem} left out: {type(error).__name__}: {error}"]


def _run_in_processes(
    function: Callable[[Item], Result], items: list[Item], workers: int
) -> Iterator[Result | WorkerDied]:
    """Results of a pool of processes; items that were in work when one of them died are tried again, one by one."""
    waiting, suspects = deque(items), deque[Item]()
    while waiting:
        interrupted: list[Item] = []
        yield from _until_a_death(function, waiting, workers, interrupted)
        suspects.extend(interrupted)
    while suspects:
        interrupted = []
        yield from _until_a_death(function, suspects, 1, interrupted)
        yield from map(WorkerDied, interrupted)  # a single one, which was alone


def _until_a_death(
    function: Callable[[Item], Result], queue: deque[Item], workers: int, interrupted: list[Item]
) -> Iterator[Result]:
    """Take items from a queue and yield results, until it is empty or a process dies; `interrupted` were in work.

    ValueError if the processes do not even start.
    """
    context = get_context("spawn")
    started, pending = context.Event(), dict[Future, Item]()
    with ProcessPoolExecutor(workers, context, _start_worker, (started,)) as pool:
        while pending or (queue and not interrupted):
            while queue and len(pending) < workers and not interrupted:
                try:
                    future = pool.submit(function, queue[0])
                except BrokenProcessPool:
                    interrupted.append(queue.popleft())
                else:
                    pending[future] = queue.popleft()
            for future in wait(pending, return_when=FIRST_COMPLETED).done:
                item = pending.pop(future)
                if isinstance(future.exception(), BrokenProcessPool):
                    interrupted.append(item)
                else:
                    yield future.result()
    if interrupted and not started.is_set():
        raise ValueError("the worker processes end before they start to work; use one worker to see why")


def _start_worker(started: Any) -> None:
    """Compute in one thread, and end with the parent process, even if that is killed."""
    os.environ["OMP_NUM_THREADS"] = "1"  # which our kernels look at, and torch when it is imported
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    started.set()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _run_on_ray(function: Callable[[Item], Result], items: list[Item], address: str) -> Iterator[Result | WorkerDied]:
    try:
        import ray
    except ImportError:
        raise ImportError("--ray needs Ray; pip install 's4token_ros[cluster]', or pip install ray") from None
    ray.init(address=address, ignore_reinit_error=True, log_to_driver=False)
    try:
        remote, lost = ray.remote(function), (ray.exceptions.WorkerCrashedError, ray.exceptions.OutOfMemoryError)
        max_in_flight = 2 * max(int(ray.cluster_resources().get("CPU", 1)), 1)  # a long list is not sent all at once
        waiting: list[Item] = list(reversed(items))
        pending: dict[Any, Item] = {}
        while waiting or pending:
            while waiting and len(pending) < max_in_flight:
                item = waiting.pop()
                pending[remote.remote(item)] = item
            for reference in ray.wait(list(pending), num_returns=1)[0]:
                item = pending.pop(reference)
                try:
                    yield ray.get(reference)
                except lost:  # after Ray's own retries
                    yield WorkerDied(item)
    finally:
        ray.shutdown()
