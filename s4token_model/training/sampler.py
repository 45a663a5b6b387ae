"""Clouds for training, drawn from samples: on a CPU, in worker processes where a GPU would wait for them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from s4token_model.training import batches
from s4token_model.training.batches import Batch, DrawConfig, DrawnClouds, Points, Tokens
from s4token_model.training.masked_modeling import draw_masks
from s4token_model.training.token_samples import TokenSample, load_with_targets, targets_folder


class Sampler:
    """Draws clouds from samples in memory, or from files that are read when drawn.

    The 2D targets of a file, of length `dim` (0: not used), are in it or in a folder "targets" beside its own; samples
    without any train only L_assign. A damaged file is replaced by the next one, and its error kept in `damaged`.
    `redraw` makes the tokens of a sample anew whenever it is drawn.
    """

    def __init__(
        self, samples: Sequence[TokenSample | Path], dim: int = 0,
        redraw: Callable[[TokenSample, np.random.Generator], TokenSample] | None = None,
    ):  # fmt: skip
        self.samples, self.dim, self.redraw = samples, dim, redraw
        self.damaged: dict[Path, str] = {}

    def draw(self, config: DrawConfig, rngs: Sequence[np.random.Generator]) -> DrawnClouds:
        """Draw one cloud per generator; the generators may be one and the same."""
        chosen = [self._sample(int(rng.choice(len(self.samples)))) for rng in rngs]
        if self.redraw is not None:
            chosen = [self.redraw(sample, rng) for sample, rng in zip(chosen, rngs, strict=True)]
        return draw_clouds(chosen, config, rngs, self.dim)

    def _sample(self, index: int) -> TokenSample:
        for offset in range(len(self.samples)):
            sample = self.samples[(index + offset) % len(self.samples)]
            if isinstance(sample, TokenSample):
                return sample
            try:
                return self._load(sample)
            except ValueError as error:
                self.damaged[sample] = str(error)
        raise ValueError(f"all {len(self.samples)} samples are damaged; run `s4token prepare` again")

    def _load(self, path: Path) -> TokenSample:
        sample = load_with_targets(path, targets_folder(path))
        found = self.dim if sample.targets is None else len(sample.targets.global_feature)
        if self.dim and found != self.dim:
            raise ValueError(f"{path} has targets of {found} numbers, this CLIP {self.dim}; prepare with the same CLIP")
        return sample


class StepDraws(NamedTuple):
    """Draws the micro-batches of a process for a step, the same batch however many processes split it."""

    sampler: Sampler
    config: DrawConfig
    seed: int
    positions: range  # of the clouds of this process in a batch
    micro_batches: int = 1

    def __call__(self, step: int) -> tuple[list[DrawnClouds], dict[Path, str]]:
        """Return the micro-batches, and the damaged files that were met so far, with their errors."""
        size = len(self.positions) // self.micro_batches
        rngs = [np.random.default_rng([self.seed, step, k]) for k in self.positions]
        drawn = [self.sampler.draw(self.config, rngs[k : k + size]) for k in range(0, len(rngs), size)]
        return drawn, dict(self.sampler.damaged)


def report_damaged(found: dict[Path, str], reported: dict[Path, str]) -> None:
    """Log the damaged files that are not in `reported` yet, and add them."""
    for path in found.keys() - reported.keys():
        logging.getLogger(__name__).warning("%s", found[path])
    reported |= found


def draw_batch(
    samples: Sequence[TokenSample], config: DrawConfig, rngs: Sequence[np.random.Generator], dim: int = 0
) -> Batch:
    """Draw from each sample with its generator, and make a batch on the CPU."""
    return batches.make_batch(draw_clouds(samples, config, rngs, dim))


def draw_clouds(
    samples: Sequence[TokenSample], config: DrawConfig, rngs: Sequence[np.random.Generator], dim: int = 0
) -> DrawnClouds:
    """Draw points, tokens and a rotation of each sample with its generator; targets have `dim` numbers."""
    clouds, turns, scales = [], [], []
    for sample, rng in zip(samples, rngs, strict=True):
        clouds.append(_draw_cloud(sample, config, rng))
        turned = config.training and config.rotate
        turns.append((rng.uniform(0, 2 * np.pi), rng.choice([-1.0, 1.0])) if turned else (0.0, 1.0))
        spread = config.axis_scale if config.training else 0.0
        scales.append(rng.uniform(1 - spread, 1 + spread, (3, 1)) if spread else np.ones((3, 1)))
    sizes = [int(cloud.point_superpoint.max()) + 1 for cloud in clouds]
    drawn = DrawnClouds(
        Tokens(*(_stack(getattr(cloud, name) for cloud in clouds) for name in Tokens._fields)),
        Points(*(_stack(getattr(cloud, name) for cloud in clouds) for name in Points._fields)),
        batches.gather_targets(clouds, sizes, dim),
        torch.tensor([0, *sizes[:-1]]).cumsum(0)[:, None],
        _stack(cloud.position_scale for cloud in clouds),
        torch.tensor([-1 if cloud.category is None else int(cloud.category) for cloud in clouds]),
        (_stack(scales) * batches.rotations(*torch.tensor(turns, dtype=torch.float64).T)).float(),
    )
    if config.mask_ratio is None:
        return drawn
    return drawn._replace(masks=draw_masks(config.tokens, config.mask_ratio, rngs))


def subsample_points(sample: TokenSample, count: int, rng: np.random.Generator) -> TokenSample:
    """Draw `count` of the points that the losses look at; with repetition if there are fewer."""
    if len(sample.point) == count:
        return sample
    chosen = rng.choice(len(sample.point), count, replace=len(sample.point) < count)
    names = ("point", "point_superpoint") + (() if sample.point_label is None else ("point_label",))
    return replace(sample, **{name: getattr(sample, name)[chosen] for name in names})


def _draw_cloud(sample: TokenSample, config: DrawConfig, rng: np.random.Generator) -> TokenSample:
    """Draw the points that the losses look at, tokens and points of their patches; counts are int16, labels there."""
    sample = subsample_points(sample, config.points, rng) if config.training else sample
    count = len(sample.position)
    kept = np.resize(rng.permutation(count) if config.training else np.arange(count), config.tokens)
    drawn = {name: getattr(sample, name)[kept] for name in Tokens._fields}

    def random(*shape: int) -> Tensor:
        return torch.from_numpy(rng.random(shape, np.float32))

    limits = (config.patch_points, config.context_points) if config.training else (None, None)
    if config.jitter and config.training:
        noise = rng.normal(0, config.jitter, (*drawn["patch"].shape[:2], 3)).astype(np.float16)
        drawn["patch"] = np.concatenate([drawn["patch"][..., :3] + noise, drawn["patch"][..., 3:]], axis=2)
    for name, limit in zip(("patch", "context"), limits, strict=True):
        points, counts = drawn[name], drawn[f"{name}_count"].astype(np.int16)
        chosen = batches.draw_patch_points(torch.from_numpy(points), torch.from_numpy(counts), limit, random)
        drawn[name], drawn[f"{name}_count"] = (tensor.numpy() for tensor in chosen)
    if not config.context:
        drawn["context"] = drawn["context"][:, :0]
    if sample.point_label is None:
        drawn["point_label"] = np.full(len(sample.point), -1, np.int16)
    return replace(sample, **drawn)


def _stack(arrays: Iterable[np.ndarray]) -> Tensor:
    return torch.from_numpy(np.stack(list(arrays)))
