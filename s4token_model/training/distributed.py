"""Several processes, one training: torchrun's ranks, and means over all of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import Tensor


@contextmanager
def processes(device: str) -> Iterator[tuple[int, int]]:
    """Join the group torchrun made, when it made one; yields (rank, number of processes)."""
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


def world() -> int:
    """Number of processes."""
    return dist.get_world_size() if dist.is_initialized() else 1


def shared_mean(values: Tensor) -> Tensor:
    """Mean of the values (n,) of all processes, n different on each, as a loss under DistributedDataParallel.

    DDP averages gradients over processes, so each returns world * (its sum) / (all counts); zero where nobody has any.
    """
    count = torch.tensor(float(values.numel()), device=values.device)
    if world() > 1:
        dist.all_reduce(count)
    return values.sum() * world() / count.clamp(min=1)


def reduced(losses: dict[str, Tensor]) -> dict[str, float]:
    """Mean of every loss over the processes, for the log."""
    values = torch.stack([value.detach().float() for value in losses.values()])
    if world() > 1:
        dist.all_reduce(values)
        values /= world()
    return dict(zip(losses, values.tolist(), strict=True))
