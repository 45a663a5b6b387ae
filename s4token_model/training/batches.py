"""Batches for training: tokens and points drawn from samples and rotated, with the weights of Eq. 4."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from s4token_model.kernels.propagate import EPSILON, FALLBACK
from s4token_model.pipeline.tokenizer import TokenInput
from s4token_model.training.token_samples import TokenSample, load_with_targets


class DrawConfig(NamedTuple):
    """How a batch is drawn."""

    tokens: int  # per cloud; a cloud with fewer repeats some
    points: int = 0  # per cloud, that the losses look at
    patch_points: int = 0  # at most, of each patch
    context_points: int = 0  # at most, of each wide patch
    rotate: bool = True  # about z by any angle, mirrored half of the time
    training: bool = True  # False: the first tokens and all points as they are, nothing random


class Batch(NamedTuple):
    """B clouds drawn for one step, with N tokens and P points each, and S superpoints in all."""

    inputs: TokenInput
    point: Tensor  # (B, P, 3)
    weights: Tensor  # (B, P, N) of Eq. 4
    label: Tensor  # (B, P) long; -1: none
    superpoint: Tensor  # (B, P) long ids in 0..S-1, distinct across clouds
    target: Tensor  # (S, E)
    has_target: Tensor  # (S,) bool
    global_target: Tensor  # (B, E), zeros if none
    category: Tensor  # (B,) long; -1: none

    def to(self, device: str | torch.device) -> Batch:
        """Return a copy on `device`."""
        return Batch(*(value.to(device) for value in self))


class Sampler:
    """Draws batches from samples in memory, or from files that are read when drawn.

    The 2D targets of a file, of length `dim` (0: not used), are in it or in a folder "targets" beside its own; samples
    without any train only L_assign. A damaged file is reported once, kept in `damaged` and replaced by the next one.
    `redraw` makes the tokens of a sample anew whenever it is drawn.
    """

    def __init__(
        self, samples: Sequence[TokenSample | Path], dim: int = 0,
        redraw: Callable[[TokenSample, np.random.Generator], TokenSample] | None = None,
    ):  # fmt: skip
        self.samples, self.dim, self.redraw = samples, dim, redraw
        self.damaged: set[Path] = set()

    def draw(self, config: DrawConfig, rngs: Sequence[np.random.Generator]) -> Batch:
        """Draw one cloud per generator; the generators may be one and the same."""
        chosen = [self._sample(int(rng.choice(len(self.samples)))) for rng in rngs]
        if self.redraw is not None:
            chosen = [self.redraw(sample, rng) for sample, rng in zip(chosen, rngs, strict=True)]
        return draw_batch(chosen, config, rngs, self.dim)

    def _sample(self, index: int) -> TokenSample:
        for offset in range(len(self.samples)):
            sample = self.samples[(index + offset) % len(self.samples)]
            if isinstance(sample, TokenSample):
                return sample
            try:
                return self._load(sample)
            except ValueError as error:
                if sample not in self.damaged:
                    self.damaged.add(sample)
                    logging.getLogger(__name__).warning("%s", error)
        raise ValueError(f"all {len(self.samples)} samples are damaged; run `s4token prepare` again")

    def _load(self, path: Path) -> TokenSample:
        sample = load_with_targets(path, path.parent.parent / "targets")
        found = self.dim if sample.targets is None else len(sample.targets.global_feature)
        if self.dim and found != self.dim:
            raise ValueError(f"{path} has targets of {found} numbers, this CLIP {self.dim}; prepare with the same CLIP")
        return sample


def draw_batch(
    samples: Sequence[TokenSample], config: DrawConfig, rngs: Sequence[np.random.Generator], dim: int = 0
) -> Batch:
    """Draw tokens and points of each sample with its generator, and stack them."""
    if config.training:
        samples = [subsample_points(sample, config.points, rng) for sample, rng in zip(samples, rngs, strict=True)]
    drawn = [draw_tokens(sample, config, rng) for sample, rng in zip(samples, rngs, strict=True)]
    return collate(drawn, dim)


def subsample_points(sample: TokenSample, count: int, rng: np.random.Generator) -> TokenSample:
    """Draw `count` of the points that the losses look at; with repetition if there are fewer."""
    if len(sample.point) == count:
        return sample
    chosen = rng.choice(len(sample.point), count, replace=len(sample.point) < count)
    names = ("point", "point_superpoint") + (() if sample.point_label is None else ("point_label",))
    return replace(sample, **{name: getattr(sample, name)[chosen] for name in names})


def draw_tokens(sample: TokenSample, config: DrawConfig, rng: np.random.Generator) -> TokenSample:
    """Draw tokens and points of their patches, float32, then rotate the cloud about z."""
    count = len(sample.position)
    kept = np.resize(rng.permutation(count) if config.training else np.arange(count), config.tokens)
    limits = (config.patch_points, config.context_points) if config.training else (None, None)
    patch, patch_count = _draw_points(sample.patch[kept], sample.patch_count[kept], limits[0], rng)
    context, context_count = _draw_points(sample.context[kept], sample.context_count[kept], limits[1], rng)
    rotation = _rotation(rng) if config.training and config.rotate else np.eye(3, dtype=np.float32)
    patch[..., :3] = patch[..., :3] @ rotation
    context[..., :3] = context[..., :3] @ rotation
    drawn = {name: getattr(sample, name)[kept] for name in ("descriptor", "position", "token_superpoint")}
    drawn |= {"patch": patch, "patch_count": patch_count, "context": context, "context_count": context_count}
    return replace(sample, **drawn | {"position": drawn["position"] @ rotation, "point": sample.point @ rotation})


def collate(clouds: Sequence[TokenSample], dim: int = 0) -> Batch:
    """Stack drawn clouds of equal sizes; `dim` is the length of the 2D targets."""
    superpoint, target, has_target = _stack_superpoints(clouds, dim)
    names = ("point", "position", "point_superpoint", "token_superpoint")
    weights = propagation_weights(*(_stack(getattr(c, name) for c in clouds) for name in names))
    none = np.zeros(dim, np.float32)
    return Batch(
        inputs=TokenInput(
            _stack(c.patch for c in clouds),
            _stack(_valid(c.patch, c.patch_count) for c in clouds),
            _stack(c.context for c in clouds),
            _stack(_valid(c.context, c.context_count) for c in clouds),
            _stack(c.descriptor for c in clouds),
            _stack(c.position * c.position_scale for c in clouds),
        ),
        point=_stack(c.point for c in clouds),
        weights=weights,
        label=_stack(np.full(len(c.point), -1) if c.point_label is None else c.point_label for c in clouds).long(),
        superpoint=torch.from_numpy(superpoint).long(),
        target=torch.from_numpy(target),
        has_target=torch.from_numpy(has_target),
        global_target=_stack(c.targets.global_feature if dim and c.targets else none for c in clouds).float(),
        category=torch.tensor([-1 if c.category is None else int(c.category) for c in clouds]),
    )


def propagation_weights(point: Tensor, position: Tensor, point_superpoint: Tensor, token_superpoint: Tensor) -> Tensor:
    """Return the weights w_ik ~ [l_i = l_k] / (||p_i - p_k|| + 1e-4) of Eq. 4, (B, P, N); rows sum to 1.

    A point whose superpoint has no token takes the 3 nearest tokens with the same weights, as in inference.
    point (B, P, 3) and position (B, N, 3), the token centers, are in units of r; the superpoints are (B, P) and (B, N).
    """
    weights = torch.cdist(point, position, compute_mode="donot_use_mm_for_euclid_dist").add_(float(EPSILON))
    weights.reciprocal_()
    related = point_superpoint.unsqueeze(2) == token_superpoint.unsqueeze(1)
    nearest = weights.topk(min(FALLBACK, position.shape[1]), sorted=False).indices
    without = ~related.any(dim=2, keepdim=True)
    weights.mul_(related.scatter(2, nearest, related.gather(2, nearest) | without))
    return weights.div_(weights.sum(dim=2, keepdim=True))


def _stack(arrays: Iterable[np.ndarray]) -> Tensor:
    return torch.from_numpy(np.stack(list(arrays)))


def _valid(points: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Mask (N, M) of the first `count` (N,) points of each row."""
    return np.arange(points.shape[1]) < count[:, None]


def _stack_superpoints(clouds: Sequence[TokenSample], dim: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Superpoint ids (B, P) that are distinct across clouds, their targets (S, E) and which have one (S,)."""
    starts = np.cumsum([0] + [int(c.point_superpoint.max()) + 1 for c in clouds])
    superpoint = np.stack([c.point_superpoint + start for c, start in zip(clouds, starts[:-1], strict=True)])
    target, has_target = np.zeros((starts[-1], dim), np.float32), np.zeros(starts[-1], bool)
    for cloud, start, stop in zip(clouds, starts[:-1], starts[1:], strict=True):
        if dim and cloud.targets is not None:
            rows = cloud.targets.superpoint + start
            inside = rows < stop  # the others have no point in this batch
            target[rows[inside]] = cloud.targets.feature[inside]
            has_target[rows[inside]] = True
    return superpoint, target, has_target


def _draw_points(points: np.ndarray, count: np.ndarray, limit: int | None, rng: np.random.Generator):
    """Draw at most `limit` of the valid points of each row, all if None: points float32 and their counts."""
    if limit is not None and points.shape[1] > limit:
        keys = rng.random(points.shape[:2], np.float32)
        keys[~_valid(points, count)] = 2
        chosen = np.argpartition(keys, limit - 1, axis=1)[:, :limit]
        chosen = np.take_along_axis(chosen, np.argsort(np.take_along_axis(keys, chosen, 1), axis=1), 1)
        points = np.take_along_axis(points, chosen[..., None], 1)
        count = np.minimum(count, limit)
    return points.astype(np.float32), count


def _rotation(rng: np.random.Generator) -> np.ndarray:
    """A rotation about z by any angle, mirrored half of the time."""
    angle = rng.uniform(0, 2 * np.pi)
    cosine, sine, flip = np.cos(angle), np.sin(angle), rng.choice([-1.0, 1.0])
    return np.array([[cosine * flip, sine, 0], [-sine * flip, cosine, 0], [0, 0, 1]], np.float32)
