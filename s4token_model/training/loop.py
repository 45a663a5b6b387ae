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

from s4token_model import atomic

T = TypeVar("T")
MAX_NORM = 1.0  # of the gradient


class Progress:
    """Weights, optimizer and step of a run in one file, written atomically, beside a log of the losses in JSON lines.

    An existing file is loaded, so that a killed run resumes from its last saved step.
    """

    def __init__(self, path: Path, model: nn.Module, optimizer: torch.optim.Optimizer):
        self.path, self.model, self.optimizer, self.step = path, model, optimizer, 0
        self._values: dict[str, list[Any]] = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_file():
            state = torch.load(path, map_location="cpu", weights_only=True)
            model.load_state_dict(state["model"])
            optimizer.load_state_dict(state["optimizer"])
            self.step = state["step"]

    def after_step(self, step: int, losses: dict[str, Any], every: int, total: int, write: bool = True) -> None:
        """Count a finished step; every `every` steps and at the last one, log the mean losses and save the state.

        losses: numbers, or tensors of one number, which are not read before they are logged.
        """
        self.step = step
        for name, value in losses.items():
            self._values.setdefault(name, []).append(value)
        if not write or (step % every and step != total):
            return
        with open(self.path.with_suffix(".jsonl"), "a", encoding="utf-8") as log:
            means = {name: round(float(sum(values) / len(values)), 5) for name, values in self._values.items()}
            log.write(json.dumps({"step": step} | means) + "\n")
        self._values = {}
        with atomic.file(self.path) as file:
            torch.save({"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict(), "step": step}, file)


def optimizer_step(
    optimizer: torch.optim.Optimizer,
    compute_losses: Callable[[T], dict[str, Tensor]],
    micro_batches: Sequence[T],
    run: Path,
    step: int,
    no_sync: Callable[[], AbstractContextManager] = nullcontext,
) -> dict[str, float]:
    """Take one optimizer step with clipped gradients; returns the losses, means over micro-batches and processes.

    A batch with a loss that is not finite is saved to the folder `run`, with the number of the step. `no_sync` is the
    context of every micro-batch but the last, see DistributedDataParallel.no_sync.
    """
    optimizer.zero_grad(set_to_none=True)
    means: dict[str, float] = {}
    for number, batch in enumerate(micro_batches):
        losses = compute_losses(batch)
        stop_on_nan(losses, run, {"step": step, "batch": batch})
        with nullcontext() if number == len(micro_batches) - 1 else no_sync():
            (torch.stack(list(losses.values())).sum() / len(micro_batches)).backward()
        for name, value in reduce_losses(losses).items():
            means[name] = means.get(name, 0.0) + value / len(micro_batches)
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


def prefetch(make: Callable[[int], T], steps: range) -> Iterator[tuple[int, T, float]]:
    """Yield (step, make(step), seconds spent waiting for it); a thread makes it while the one before is used."""
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


def world_size() -> int:
    """Number of processes."""
    return dist.get_world_size() if dist.is_initialized() else 1


def distributed_mean(values: Tensor) -> Tensor:
    """Mean over the values (n,) of all processes, n different on each, as a loss under DistributedDataParallel.

    DDP averages gradients over processes, so each returns world size * (its sum) / (all counts); 0 without any value.
    """
    count = torch.tensor(float(values.numel()), device=values.device)
    if world_size() > 1:
        dist.all_reduce(count)
    return values.sum() * world_size() / count.clamp(min=1)


def reduce_losses(losses: dict[str, Tensor]) -> dict[str, float]:
    """Mean of every loss over the processes, for the log."""
    values = torch.stack([value.detach().float() for value in losses.values()])
    if world_size() > 1:
        dist.all_reduce(values)
        values /= world_size()
    return dict(zip(losses, values.tolist(), strict=True))
