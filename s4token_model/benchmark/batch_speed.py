"""How fast batches of training are drawn from files, beside a loader that computes them on the CPU."""

from __future__ import annotations

import dataclasses
import os
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from s4token_model import config as configs
from s4token_model import tokenizer_variants
from s4token_model.config import Config
from s4token_model.training.batches import DrawConfig, make_batch
from s4token_model.training.loop import prefetch
from s4token_model.training.redraw import redraw
from s4token_model.training.sampler import Sampler, StepDraws
from s4token_model.training.token_samples import SUFFIX, Cloud, Targets, TokenSample, save_sample

BATCH, TOKENS, POINTS = 128, 128, 1024  # clouds, tokens of each and points of the losses, as in config/pretrain.yaml
PATCH_POINTS, CONTEXT_POINTS = 32, 48
FILES, FILE_POINTS, SUPERPOINTS, DIM = 256, 2048, 60, 512  # of prepared samples of objects in front of ViT-B/16
CLOUD_POINTS = 8192  # that tokens are drawn from anew, as many as a shape of ShapeNet55 has
WORKERS = 2


def run(repeats: int = 5, batch: int = BATCH, files: int = FILES) -> dict[str, Any]:
    """Draw batches from `files` random samples in the layout of real ones; medians of `repeats`.

    cpu_s is CPU time per batch; reference_cpu_s that of a loader that also computes what `make_batch` does: float32
    values, rotations, the weights of Eq. 4. Both are taken in turn. batches_per_s: by the clock, two worker processes;
    redraw_batches_per_s: with tokens drawn anew from 8,192 points, as in config/pretrain.yaml.
    """
    with tempfile.TemporaryDirectory() as name:
        plain, clouds = (Path(name) / part / "samples" for part in ("plain", "clouds"))
        for folder in (plain, clouds):
            folder.mkdir(parents=True)
        for number in range(files):
            sample, file = random_sample(number), f"{number}{SUFFIX}"
            save_sample(plain / file, sample)
            save_sample(clouds / file, dataclasses.replace(sample, cloud=random_cloud(number)))
        config = DrawConfig(TOKENS, POINTS, PATCH_POINTS, CONTEXT_POINTS, mask_ratio=0.6)
        draws = StepDraws(Sampler(sorted(plain.iterdir()), DIM), config, 0, range(batch))
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
        anew = partial(redraw, config=paper_tokens(), points=POINTS)
        again = draws._replace(sampler=Sampler(sorted(clouds.iterdir()), DIM, anew))
        for key, kind in (("", draws), ("redraw_", again)):
            rate, seconds = _time_workers(kind, 4 * repeats)
            found |= {f"{key}batches_per_s": round(rate, 2), f"{key}worker_cpu_s": round(seconds, 4)}
        return found | {"workers": WORKERS}


def text(found: dict[str, Any]) -> str:
    """The figures of `run` in sentences."""
    return (
        "Batches of {clouds} clouds x {tokens} tokens: {cpu_s:.3f} s of CPU time each; {reference_cpu_s:.3f} s if the"
        " loader computes float32 values and weights, too ({ratio} x). {mb:.0f} MB go to the device in place of"
        " {reference_mb:.0f}. With {workers} worker processes: {batches_per_s:.1f} batches a second, {worker_cpu_s:.3f}"
        " s of CPU time each in all processes. With `redraw`, as in config/pretrain.yaml: {redraw_batches_per_s:.1f} a"
        " second, {redraw_worker_cpu_s:.3f} s each."
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


def random_cloud(seed: int) -> Cloud:
    """A unit sphere in SUPERPOINTS pieces."""
    rng = np.random.default_rng(seed)
    xyz = rng.standard_normal((CLOUD_POINTS, 3), np.float32)
    xyz /= np.linalg.norm(xyz, axis=1, keepdims=True)
    return Cloud(xyz, (xyz @ xyz[:SUPERPOINTS].T).argmax(axis=1).astype(np.int32), np.float32(2))


def paper_tokens() -> Config:
    """The configuration of tokens as in config/pretrain.yaml."""
    given = {"sampling.tokens": TOKENS, "sampling.points": FILE_POINTS, "sampling.gamma": 0.1}
    given |= {"patches.points": PATCH_POINTS}
    return configs.replace(Config(), tokenizer_variants.changes("s4token") | given)


class _TimedDraws(NamedTuple):
    """Also tells the process that draws a step, and its CPU time until then."""

    draws: StepDraws

    def __call__(self, step: int) -> tuple[Any, int, float]:
        return self.draws(step), os.getpid(), time.process_time()


def _time_workers(draws: StepDraws, steps: int) -> tuple[float, float]:
    """Batches a second of worker processes, after their start and first batches, and the CPU time of each in all."""
    spent, begin, own = dict[int, list[float]](), 0.0, 0.0
    for step, (_, process, seconds), _ in prefetch(_TimedDraws(draws), range(steps + WORKERS), WORKERS):
        spent.setdefault(process, []).append(seconds)
        if step == WORKERS - 1:
            begin, own = time.perf_counter(), time.process_time()
    wall, own = time.perf_counter() - begin, time.process_time() - own
    cpu = own + sum(rows[-1] - rows[0] for rows in spent.values())
    return steps / wall, cpu / steps


def _megabytes(value: Any) -> float:
    """Size of all tensors in a batch."""
    if isinstance(value, Tensor):
        return value.numel() * value.element_size() / 1e6
    return sum(map(_megabytes, value if isinstance(value, tuple) else vars(value).values()))
