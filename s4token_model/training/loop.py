"""What every training loop needs: a resumable state, a learning rate, a stop on NaN."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

T = TypeVar("T")
WARMUP = 0.05  # share of the steps with a rising learning rate


class Progress:
    """Weights, optimizer and step of a run in one file, written atomically; a log of losses in lines of JSON beside it.

    Loads the file when it exists, so that a killed run goes on from its last saved step.
    """

    def __init__(self, path: Path, model: nn.Module, optimizer: torch.optim.Optimizer):
        self.path, self.model, self.optimizer, self.step = path, model, optimizer, 0
        self._values: dict[str, list[float]] = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_file():
            state = torch.load(path, weights_only=True)
            model.load_state_dict(state["model"])
            optimizer.load_state_dict(state["optimizer"])
            self.step = state["step"]

    def after_step(self, step: int, losses: dict[str, float], every: int, total: int, write: bool = True) -> None:
        """Count a finished step; every `every` steps and last, log the means and save, where `write` is set."""
        self.step = step
        for name, value in losses.items():
            self._values.setdefault(name, []).append(value)
        if not write or (step % every and step != total):
            return
        with open(self.path.with_suffix(".jsonl"), "a", encoding="utf-8") as log:
            means = {name: round(sum(values) / len(values), 5) for name, values in self._values.items()}
            log.write(json.dumps({"step": step} | means) + "\n")
        self._values = {}
        partial = self.path.with_suffix(".partial")
        torch.save({"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict(), "step": step}, partial)
        os.replace(partial, self.path)


def ahead(make: Callable[[int], T], steps: range) -> Iterator[T]:
    """Yield make(step) for each step, the next one made in a thread while the current one is used."""
    with ThreadPoolExecutor(1) as pool:
        coming = None
        for step in steps:
            current = coming or pool.submit(make, step)
            coming = pool.submit(make, step + 1) if step + 1 in steps else None
            yield current.result()


def timed(batches: Iterable[T]) -> Iterator[tuple[T, float]]:
    """Yield each batch with the seconds that were waited for it: what the data pipeline costs."""
    coming = iter(batches)
    while True:
        begin = time.perf_counter()
        try:
            batch = next(coming)
        except StopIteration:
            return
        yield batch, time.perf_counter() - begin


def cosine_rate(optimizer: torch.optim.Optimizer, peak: float, step: int, total: int, last: float = 0.0) -> float:
    """Set the learning rate of all groups: linear warm-up over 5 % of the steps, then half a cosine down to the share
    `last` of the peak."""
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
        torch.save(batch, run / "nan_batch.pt")
        where = run / "nan_batch.pt"
        raise ValueError(f"loss {', '.join(bad)} is not finite; the batch is in {where}; lower the learning rate")
