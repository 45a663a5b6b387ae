"""One training over several processes: torchrun's ranks, and means over all of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import Tensor


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
