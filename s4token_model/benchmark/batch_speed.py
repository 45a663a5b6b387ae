"""How fast batches of training are drawn from files, beside a loader that computes them on the CPU."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from s4token_model.training.batches import DrawConfig, make_batch
from s4token_model.training.loop import prefetch
from s4token_model.training.sampler import Sampler, StepDraws
from s4token_model.training.token_samples import SUFFIX, Targets, TokenSample, save_sample

BATCH, TOKENS, POINTS = 128, 128, 1024  # clouds, tokens of each and points of the losses, as in config/pretrain.yaml
PATCH_POINTS, CONTEXT_POINTS = 32, 48
FILES, FILE_POINTS, SUPERPOINTS, DIM = 256, 2048, 60, 512  # of prepared samples of objects in front of ViT-B/16
WORKERS = 2


def run(repeats: int = 5, batch: int = BATCH, files: int = FILES) -> dict[str, Any]:
    """Draw batches from `files` random samples in the layout of real ones; medians of `repeats`.

    cpu_s is CPU time per batch; reference_cpu_s that of a loader that also computes what `make_batch` does: float32
    values, rotations, the weights of Eq. 4. Both are taken in turn. batches_per_s: by the clock, two worker processes.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "samples"
        folder.mkdir()
        paths = [folder / f"{k}{SUFFIX}" for k in range(files)]
        for k, path in enumerate(paths):
            save_sample(path, random_sample(k))
        config = DrawConfig(TOKENS, POINTS, PATCH_POINTS, CONTEXT_POINTS, mask_ratio=0.6)
        draws = StepDraws(Sampler(paths, DIM), config, 0, range(batch))
        (drawn,), _ = draws(0)
        made = make_batch(drawn)
        rows = []
        for step in range(1, repeats + 1):
            start = time.process_time()
            (drawn,), _ = draws(step)
            middle = time.process_time()
            made = make_batch(drawn)
            rows.append((middle - start, time.process_time() - start))
        ours, reference = np.median(rows, axis=0).tolist()
        found = {"clouds": batch, "tokens": TOKENS, "cpu_s": round(ours, 4), "reference_cpu_s": round(reference, 4)}
        found |= {"ratio": round(reference / ours, 2), "mb": _megabytes(drawn), "reference_mb": _megabytes(made)}
        return found | _time_workers(draws, 4 * repeats)


def text(found: dict[str, Any]) -> str:
    """The figures of `run` in two sentences."""
    return (
        "Batches of {clouds} clouds x {tokens} tokens: {cpu_s:.3f} s of CPU time each; {reference_cpu_s:.3f} s if the"
        " loader computes float32 values and weights, too ({ratio} x). {mb:.0f} MB go to the device in place of"
        " {reference_mb:.0f}. With {workers} worker processes: {batches_per_s:.1f} batches a second, {worker_cpu_s:.3f}"
        " s of CPU time each in all processes."
    ).format(**found)


def random_sample(seed: int, dim: int = DIM) -> TokenSample:
    """Random numbers in the shapes of a prepared object, with 2D targets of `dim` numbers."""
    rng = np.random.default_rng(seed)

    def normal(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape, np.float32)

    return TokenSample(
        patch=normal(TOKENS, PATCH_POINTS, 3).astype(np.float16),
        patch_count=rng.integers(1, PATCH_POINTS + 1, TOKENS).astype(np.uint16),
        context=normal(TOKENS, CONTEXT_POINTS, 5).astype(np.float16),
        context_count=rng.integers(1, CONTEXT_POINTS + 1, TOKENS).astype(np.uint16),
        descriptor=normal(TOKENS, 24),
        position=normal(TOKENS, 3),
        position_scale=np.float32(1),
        token_superpoint=rng.integers(0, SUPERPOINTS, TOKENS).astype(np.int32),
        point=normal(FILE_POINTS, 3),
        point_superpoint=rng.integers(0, SUPERPOINTS, FILE_POINTS).astype(np.int32),
        targets=Targets(
            np.arange(SUPERPOINTS, dtype=np.int32),
            normal(SUPERPOINTS, dim).astype(np.float16),
            normal(dim).astype(np.float16),
        ),
    )


class _TimedDraws(NamedTuple):
    """Also tells the process that draws a step, and its CPU time until then."""

    draws: StepDraws

    def __call__(self, step: int) -> tuple[Any, int, float]:
        return self.draws(step), os.getpid(), time.process_time()


def _time_workers(draws: StepDraws, steps: int) -> dict[str, Any]:
    """Wall and CPU time per batch of worker processes, after their start and first batches, and of this one."""
    spent, begin, own = dict[int, list[float]](), 0.0, 0.0
    for step, (_, process, seconds), _ in prefetch(_TimedDraws(draws), range(steps + WORKERS), WORKERS):
        spent.setdefault(process, []).append(seconds)
        if step == WORKERS - 1:
            begin, own = time.perf_counter(), time.process_time()
    wall, own = time.perf_counter() - begin, time.process_time() - own
    cpu = own + sum(rows[-1] - rows[0] for rows in spent.values())
    return {"workers": WORKERS, "batches_per_s": round(steps / wall, 2), "worker_cpu_s": round(cpu / steps, 4)}


def _megabytes(value: Any) -> float:
    """Size of all tensors in a batch."""
    if isinstance(value, Tensor):
        return value.numel() * value.element_size() / 1e6
    return sum(map(_megabytes, value if isinstance(value, tuple) else vars(value).values()))
