"""Apply a function to many items: in this process, in several on one machine, or on a Ray cluster."""

from __future__ import annotations

import math
import os
import signal
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

from s4token_model.command_line import describe
from s4token_model.kernels.parallel import processors

Item, Result = TypeVar("Item"), TypeVar("Result")
DIED = "its process died: killed by the system, e.g. for want of memory, or an error in native code"


class WorkerDied(NamedTuple):
    """The result of an item whose process ended on it: killed, out of memory, or crashed in native code."""

    item: Any


class Job(NamedTuple):
    """A call whose failure is reported under a name."""

    name: str
    arguments: tuple


class Outcome(NamedTuple):
    """What came of a job: the result of its call, or the reason why there is none."""

    name: str
    result: Any = None
    error: str = ""


def run(
    function: Callable[[Item], Result], items: list[Item], workers: int = 1, ray_address: str | None = None
) -> Generator[Result | WorkerDied]:
    """Yield function(item) as results come, in any order; a module-level function, which other processes find.

    `workers` are processes with an equal number of threads each; one item, or one worker, needs none. A process that
    dies is replaced, and the item that ended it gives WorkerDied. `ray_address` is "auto", "local" or the address of a
    cluster whose machines see the same files, see ray.init.
    """
    if ray_address:
        yield from _run_on_ray(function, items, ray_address)
    elif workers > 1 and len(items) > 1:
        yield from _run_in_processes(function, items, min(workers, len(items)))
    else:
        yield from map(function, items)


def outcomes(
    function: Callable[..., Any], jobs: list[Job], title: str, workers: int = 1, ray: str | None = None,
    seconds: float = math.inf,
) -> Iterator[Outcome]:  # fmt: skip
    """Call function(*arguments) for every job and yield what came of it, in any order, see `run`.

    A bar shows the progress, and at the end, even if that is Ctrl-C, a table what failed and why, both on stderr. After
    `seconds` no further job is begun.
    """
    calls, failed, end = [(function, job) for job in jobs], list[Outcome](), time.monotonic() + seconds
    seldom = 0.1 if sys.stderr is not None and sys.stderr.isatty() else 30.0  # seconds; a log is not filled with bars
    bar = tqdm(total=len(jobs), desc=title, disable=not jobs, mininterval=seldom)
    try:
        with bar, closing(run(_call, calls, workers, ray)) as results:
            for found in results:
                outcome = Outcome(found.item[1].name, None, DIED) if isinstance(found, WorkerDied) else found
                if outcome.error:
                    failed.append(outcome)
                    bar.set_postfix(failed=len(failed), refresh=False)
                bar.update()
                yield outcome
                if time.monotonic() > end:
                    break
    finally:
        print_failures(failed, len(jobs), title)


def print_failures(failed: list[Outcome], count: int, title: str) -> None:
    """Print a table of what failed of `count` jobs, and why, on stderr; nothing if nothing did."""
    if failed:
        width = min(max(len(one.name) for one in failed), 40)
        rows = (f"  {one.name:<{width}}  {one.error}" for one in sorted(failed))
        tqdm.write("\n".join([f"{len(failed)} of {count} {title} failed:", *rows]), file=sys.stderr)


def write_missing(
    function: Callable[..., list[str]], items: list[tuple], title: str, workers: int = 1, ray: str | None = None,
    seconds: float = math.inf,
) -> list[Path]:  # fmt: skip
    """Call function(file, ...), which returns notes, for the items whose file is missing; return the files there.

    An item that fails is reported, see `outcomes`, and the next call tries it again.
    """
    jobs = [Job(item[0].stem, item) for item in items if not item[0].is_file()]
    for outcome in outcomes(function, jobs, title, workers, ray, seconds):
        for note in outcome.result or ():
            tqdm.write(f"{outcome.name}: {note}", file=sys.stderr)
    return [out for out, *_ in items if out.is_file()]


def _call(call: tuple[Callable[..., Any], Job]) -> Outcome:
    function, job = call
    try:
        return Outcome(job.name, function(*job.arguments))
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as reason:  # one bad item must not end a long run; panics of native code are no Exceptions
        return Outcome(job.name, None, describe(reason))


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
    with ProcessPoolExecutor(workers, context, _start_worker, (started, max(1, processors() // workers))) as pool:
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


def _start_worker(started: Any, threads: int) -> None:
    """Compute in so many threads, and end at Ctrl-C and with the parent process, even if that is killed."""
    os.environ["OMP_NUM_THREADS"] = str(threads)  # which our kernels look at, and torch when it is imported
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(threads)
    signal.signal(signal.SIGINT, lambda *_: os._exit(1))  # the parent tells the user
    threading.Thread(target=end_with_parent, daemon=True).start()
    started.set()


def end_with_parent() -> None:
    """Wait for the parent process, and end this one with it."""
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
        reasons = ray.exceptions
        remote = ray.remote(function)
        lost = (reasons.WorkerCrashedError, reasons.OutOfMemoryError, reasons.NodeDiedError)
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
