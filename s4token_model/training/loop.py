"""What every training loop shares: one optimizer step, a resumable state, the learning rate, prefetched batches."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from s4token_model.io import files
from s4token_model.training.distributed import reduce_losses

T = TypeVar("T")
WARMUP = 0.05  # fraction of the steps with a rising learning rate
MAX_NORM = 1.0  # of the gradient


class Progress:
    """Weights, optimizer and step of a run in one file, written atomically, beside a log of the losses in JSON lines.

    An existing file is loaded, so that a killed run resumes from its last saved step.
    """

    def __init__(self, path: Path, model: nn.Module, optimizer: torch.optim.Optimizer):
        self.path, self.model, self.optimizer, self.step = path, model, optimizer, 0
        self._values: dict[str, list[float]] = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_file():
            state = torch.load(path, map_location="cpu", weights_only=True)
            model.load_state_dict(state["model"])
            optimizer.load_state_dict(state["optimizer"])
            self.step = state["step"]

    def after_step(self, step: int, losses: dict[str, float], every: int, total: int, write: bool = True) -> None:
        """Count a finished step; every `every` steps and at the last one, log the mean losses and save the state."""
        self.step = step
        for name, value in losses.items():
            self._values.setdefault(name, []).append(value)
        if not write or (step % every and step != total):
            return
        with open(self.path.with_suffix(".jsonl"), "a", encoding="utf-8") as log:
            means = {name: round(sum(values) / len(values), 5) for name, values in self._values.items()}
            log.write(json.dumps({"step": step} | means) + "\n")
        self._values = {}
        with files.atomic(self.path) as file:
            torch.save({"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict(), "step": step}, file)


def optimizer_step(
    optimizer: torch.optim.Optimizer,
    compute_losses: Callable[[T], dict[str, Tensor]],
    micro_batches: Sequence[T],
    run: Path,
    step: int,
    no_sync: Callable[[], AbstractContextManager] = nullcontext,
) -> dict[str, float]:
    """Take one optimizer step on the sum of the losses, averaged over micro-batches, with clipped gradients.

    Args:
        optimizer: holds the trained parameters.
        compute_losses: named scalar losses of a micro-batch.
        micro_batches: the batch of this step in parts that are computed one after the other.
        run: folder that a batch with a loss that is not finite is saved to.
        step: number of the step, for that file.
        no_sync: context of every micro-batch but the last, see DistributedDataParallel.no_sync.

    Returns:
        The losses, averaged over micro-batches and processes.
    """
    optimizer.zero_grad(set_to_none=True)
    means: dict[str, float] = {}
    for number, batch in enumerate(micro_batches):
        losses = compute_losses(batch)
        stop_on_nan(losses, run, {"step": step, "batch": batch})
        last = number == len(micro_batches) - 1
        with nullcontext() if last else no_sync():
            (torch.stack(list(losses.values())).sum() / len(micro_batches)).backward()
        for name, value in reduce_losses(losses).items():
            means[name] = means.get(name, 0.0) + value / len(micro_batches)
    nn.utils.clip_grad_norm_([p for group in optimizer.param_groups for p in group["params"]], MAX_NORM)
    optimizer.step()
    return means


def prefetch(make: Callable[[int], T], steps: range) -> Iterator[T]:
    """Yield make(step) for each step; a thread makes the next one while the current one is used."""
    with ThreadPoolExecutor(1) as pool:
        coming = None
        for step in steps:
            current = coming or pool.submit(make, step)
            coming = pool.submit(make, step + 1) if step + 1 in steps else None
            yield current.result()


def timed(batches: Iterable[T]) -> Iterator[tuple[T, float]]:
    """Yield each batch with the seconds spent waiting for it: what the data pipeline costs."""
    coming = iter(batches)
    while True:
        begin = time.perf_counter()
        try:
            batch = next(coming)
        except StopIteration:
            return
        yield batch, time.perf_counter() - begin


def cosine_rate(optimizer: torch.optim.Optimizer, peak: float, step: int, total: int, last: float = 0.0) -> float:
    """Set the learning rate: linear warm-up over 5 % of the steps, then half a cosine down to the fraction `last`."""
    warm = max(1, round(WARMUP * total))
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
