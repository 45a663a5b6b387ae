"""What every training loop shares: a step, a resumable state, the learning rate, prefetched batches, and torchrun."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from s4token_model import atomic

T = TypeVar("T")
MAX_NORM = 1.0  # of the gradient


class Progress:
    """Weights, optimizer and step of a run in one file, written atomically, beside a log of the losses in JSON lines.

    An existing file is loaded, so that a killed run resumes from its last saved step.
    """

    def __init__(self, path: Path, model: nn.Module, optimizer: torch.optim.Optimizer):
        self.path, self.model, self.optimizer, self.step = path, model, optimizer, 0
        self._rows: list[dict[str, Any]] = []  # the losses of each step since the last log
        self.evaluations: dict[str, dict[str, float]] = {}  # step -> scores, which the state keeps
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_file():
            try:
                state = torch.load(path, map_location="cpu", weights_only=True)
            except Exception as error:  # zipfile, pickle and torch raise whatever the bytes lead to
                raise ValueError(f"{path} is damaged ({type(error).__name__}); delete it to begin anew") from error
            model.load_state_dict(state["model"])
            optimizer.load_state_dict(state["optimizer"])
            self.step, self.evaluations = state["step"], state.get("evaluations", {})

    def after_step(
        self, step: int, losses: dict[str, Any], every: int, total: int, write: bool = True,
        batch: Callable[[int], Any] = lambda step: None,
    ) -> dict[str, float]:  # fmt: skip
        """Count a finished step; every `every` steps and at the last one, log the mean losses and save the state.

        losses: numbers, or tensors of one number, which are read, as means over the processes, only where they are
        logged: reading one waits for a GPU. Steps may have different losses, each logged as its mean over the steps
        that have it. Returns what was logged. A tensor that is not finite ends the run unsaved, see `stop_on_nan`;
        batch(step) is the batch that is kept then.
        """
        self.step = step
        self._rows.append(losses)
        if step % every and step != total:
            return {}
        rows, self._rows = self._rows, []
        names = dict.fromkeys(name for row in rows for name in row)
        values = read_values({name: [row[name] for row in rows if name in row] for name in names})
        read = {name: iter(numbers) for name, numbers in values.items()}
        for number, row in enumerate(rows, step - len(rows)):
            numbers = {name: next(read[name]) for name in row}
            found = {name: torch.tensor(numbers[name]) for name, value in row.items() if isinstance(value, Tensor)}
            if not all(map(torch.isfinite, found.values())):
                stop_on_nan(found, self.path.parent, {"step": number, "batch": batch(number)})
        means = {name: sum(row) / len(row) for name, row in values.items()}
        if write:
            with open(self.path.with_suffix(".jsonl"), "a", encoding="utf-8") as log:
                log.write(json.dumps({"step": step} | {name: round(mean, 5) for name, mean in means.items()}) + "\n")
            state = {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict(), "step": step}
            state["evaluations"] = self.evaluations
            with atomic.file(self.path) as file:
                torch.save(state, file)
        return means


def optimizer_step(
    optimizer: torch.optim.Optimizer,
    compute_losses: Callable[[T], dict[str, Tensor]],
    micro_batches: Sequence[T],
    run: Path,
    step: int,
    no_sync: Callable[[], AbstractContextManager] = nullcontext,
) -> dict[str, Tensor]:
    """Take one optimizer step with clipped gradients; returns the losses of this process, means over micro-batches.

    On a CPU, a batch with a loss that is not finite ends the run here, see `stop_on_nan`; on a GPU that would wait for
    every loss, and `Progress.after_step` does. `no_sync` is the context of every micro-batch but the last, see
    DistributedDataParallel.no_sync.
    """
    optimizer.zero_grad(set_to_none=True)
    means: dict[str, Tensor] = {}
    for number, batch in enumerate(micro_batches):
        losses = compute_losses(batch)
        if not any(value.is_cuda for value in losses.values()):
            stop_on_nan(losses, run, {"step": step, "batch": batch})
        with nullcontext() if number == len(micro_batches) - 1 else no_sync():
            (torch.stack(list(losses.values())).sum() / len(micro_batches)).backward()
        for name, value in losses.items():
            means[name] = means.get(name, 0.0) + value.detach() / len(micro_batches)
    _descend(optimizer)
    return means


def descend(optimizer: torch.optim.Optimizer, losses: dict[str, Tensor]) -> None:
    """Take one optimizer step on the sum of losses with clipped gradients; nothing is read back from a GPU."""
    optimizer.zero_grad(set_to_none=True)
    torch.stack(list(losses.values())).sum().backward()
    _descend(optimizer)


def _descend(optimizer: torch.optim.Optimizer) -> None:
    nn.utils.clip_grad_norm_([p for group in optimizer.param_groups for p in group["params"]], MAX_NORM)
    optimizer.step()


class _Made(Dataset):
    """make(step), or the ValueError that it raised, which would lose its text between processes."""

    def __init__(self, make: Callable[[int], Any]):
        self.make = make

    def __getitem__(self, step: int) -> Any:
        try:
            return self.make(step)
        except ValueError as error:
            return error


def prefetch(
    make: Callable[[int], T], steps: range, workers: int = 0, pin: bool = False
) -> Iterator[tuple[int, T, float]]:
    """Yield (step, make(step), seconds spent waiting for it), made while those before are used.

    By a thread, or by `workers` processes, each two steps ahead; what they made is then in pinned memory, if asked.
    """
    if workers:
        # A generator of its own: the loader draws a seed for the processes, and the run would not be the same
        loader = DataLoader(
            _Made(make), None, sampler=steps, num_workers=workers, pin_memory=pin, generator=torch.Generator()
        )
        begin = time.perf_counter()
        for step, made in zip(steps, loader, strict=True):
            if isinstance(made, ValueError):
                raise made
            yield step, made, time.perf_counter() - begin
            begin = time.perf_counter()
        return
    with ThreadPoolExecutor(1) as pool:
        coming = None
        for step in steps:
            begin = time.perf_counter()
            current = coming or pool.submit(make, step)
            coming = pool.submit(make, step + 1) if step + 1 in steps else None
            batch = current.result()
            yield step, batch, time.perf_counter() - begin


def cosine_rate(optimizer: torch.optim.Optimizer, peak: float, step: int, total: int, last: float = 0.0) -> float:
    """Set the learning rate: linear warm-up over 5 % of the steps, then half a cosine down to the fraction `last`."""
    warm = max(1, round(0.05 * total))
    done = math.pi * (step - warm) / max(1, total - warm)
    rate = peak * (step + 1) / warm if step < warm else peak * (last + (1 - last) * 0.5 * (1 + math.cos(done)))
    for group in optimizer.param_groups:
        group["lr"] = rate
    return rate


def stop_on_nan(losses: dict[str, Tensor], run: Path, batch: dict[str, Any]) -> None:
    """Raise ValueError when a loss is not finite, with the batch saved to run/nan_batch.pt."""
    bad = [name for name, value in losses.items() if not bool(torch.isfinite(value).all())]
    if bad:
        path = run / "nan_batch.pt"
        torch.save(batch, path)
        raise ValueError(f"loss {', '.join(bad)} is not finite; the batch is in {path}; lower the learning rate")


@contextmanager
def process_group(device: str) -> Iterator[tuple[int, int]]:
    """Join the process group of torchrun, if it started this process; yields (rank, world size)."""
    if "RANK" not in os.environ or int(os.environ.get("WORLD_SIZE", 1)) == 1:
        yield 0, 1
        return
    if device == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("nccl" if device == "cuda" else "gloo")
    try:
        yield dist.get_rank(), dist.get_world_size()
    finally:
        dist.destroy_process_group()


def positions_of(batch: int, accumulate: int, rank: int, processes: int) -> range:
    """Positions of a process's clouds in a batch. ValueError if the batch cannot be split into its micro-batches."""
    if batch % (processes * accumulate):
        raise ValueError(f"batch={batch} cannot be split over {processes} processes x accumulate={accumulate}")
    count = batch // processes
    return range(rank * count, (rank + 1) * count)


def world_size() -> int:
    """Number of processes."""
    return dist.get_world_size() if dist.is_initialized() else 1


def distributed_mean(values: Tensor, counted: Tensor) -> Tensor:
    """Mean over the values (n,) that are `counted` (n,) on all processes, as a loss under DistributedDataParallel.

    DDP averages gradients over processes, so each returns world size * (its sum) / (all counts); 0 without any value.
    """
    count = counted.sum(dtype=torch.float32)
    if world_size() > 1:
        dist.all_reduce(count)
    return values.masked_fill(~counted, 0.0).sum() * world_size() / count.clamp(min=1)


def read_values(values: dict[str, list[Any]]) -> dict[str, list[float]]:
    """Read lists of numbers, those of tensors at once and as means over the processes."""
    tensors = [value.detach().float() for row in values.values() for value in row if isinstance(value, Tensor)]
    if not tensors:
        return values
    means = torch.stack(tensors)
    if world_size() > 1:
        dist.all_reduce(means)
        means /= world_size()
    read = iter(means.tolist())
    return {name: [next(read) if isinstance(v, Tensor) else v for v in row] for name, row in values.items()}


def loader_processes(workers: int, device: str) -> int:
    """How many processes draw batches for this one: `workers`; if 0, on a GPU its part of the processors, up to 16."""
    if workers or not device.startswith("cuda"):
        return workers
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(16, processors // int(os.environ.get("LOCAL_WORLD_SIZE", 1)) - 1))
