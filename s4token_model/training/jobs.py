"""Apply a function to many items: in this process, in several on one machine, or on a Ray cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

import torch
from tqdm import tqdm

Item, Result = TypeVar("Item"), TypeVar("Result")


def run(
    function: Callable[[Item], Result], items: list[Item], workers: int = 1, ray_address: str | None = None
) -> Iterator[Result]:
    """Yield function(item) as results come, in any order; a module-level function, which other processes find.

    `workers` are processes of one thread; one item, or one worker, needs none. `ray_address` is "auto", "local" or the
    address of a cluster whose machines see the same files, see ray.init.
    """
    if ray_address:
        yield from _run_on_ray(function, items, ray_address)
    elif workers > 1 and len(items) > 1:
        with get_context("spawn").Pool(min(workers, len(items)), torch.set_num_threads, (1,)) as pool:
            yield from pool.imap_unordered(function, items)
    else:
        yield from map(function, items)


def write_missing(
    function: Callable[..., list[str]], items: list[tuple], title: str, workers: int = 1, ray: str | None = None
) -> list[Path]:
    """Call function(file, ...), which returns messages, for the items whose file is missing; return the files there."""
    missing = [(function, *item) for item in items if not item[0].is_file()]
    for messages in tqdm(run(_call, missing, workers, ray), title, len(missing), disable=not missing):
        for message in messages:
            tqdm.write(message)
    return [out for out, *_ in items if out.is_file()]


def _call(item: tuple) -> list[str]:
    return item[0](*item[1:])


def _run_on_ray(function: Callable[[Item], Result], items: list[Item], address: str) -> Iterator[Result]:
    try:
        import ray
    except ImportError:
        raise ImportError("--ray needs Ray; pip install 's4token_ros[cluster]', or pip install ray") from None
    ray.init(address=address, ignore_reinit_error=True, log_to_driver=False)
    try:
        remote = ray.remote(function)
        max_in_flight = 2 * max(int(ray.cluster_resources().get("CPU", 1)), 1)  # a long list is not sent all at once
        waiting: list[Item] = list(reversed(items))
        pending: list[Any] = []
        while waiting or pending:
            while waiting and len(pending) < max_in_flight:
                pending.append(remote.remote(waiting.pop()))
            done, pending = ray.wait(pending, num_returns=1)
            yield from (ray.get(reference) for reference in done)
    finally:
        ray.shutdown()
