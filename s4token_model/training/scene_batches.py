"""Batches of s4token-mini: all samples in the memory of one device, and batches drawn, disturbed and weighted there.

As batches.py, but for all clouds of a batch at once, and without a step that waits for the device.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from s4token_model.pipeline.token_context import LENGTH_DIMS
from s4token_model.pipeline.tokenizer import TokenInput
from s4token_model.training.batches import Batch, DrawConfig, propagation_weights
from s4token_model.training.token_samples import TokenSample


class Tokens(NamedTuple):
    """Tokens of samples one after another, (T, ...), or drawn ones, (B, N, ...)."""

    patch: Tensor  # (..., M, 3) float16
    patch_count: Tensor  # (...) int16
    context: Tensor  # (..., C, 5) float16
    context_count: Tensor  # (...) int16
    descriptor: Tensor  # (..., 24)
    position: Tensor  # (..., 3)
    token_superpoint: Tensor  # (...) int32, distinct across samples


class Points(NamedTuple):
    """The points of S samples that the losses look at, (S, P, ...), or drawn ones, (B, P, ...)."""

    point: Tensor  # (..., 3)
    point_superpoint: Tensor  # (...) int32, distinct across samples
    point_label: Tensor  # (...) int16


class Targets(NamedTuple):
    """2D targets of all samples; T superpoints in all."""

    feature: Tensor  # (T, E) float16, zeros without one
    has_feature: Tensor  # (T,) bool
    global_feature: Tensor  # (S, E) float16, zeros without one


class SceneBatches:
    """Samples with labels and the same number of points, as tensors on a device, and batches drawn from them.

    2D targets have `dim` numbers (0: not used). `weights` are the chances of the samples to be drawn; None: all alike.
    """

    def __init__(
        self, samples: Sequence[TokenSample], device: str = "cpu", dim: int = 0, weights: np.ndarray | None = None
    ):
        self.size, self.device, self.dim, self.weights = len(samples), torch.device(device), dim, weights
        sizes = [int(max(s.point_superpoint.max(), s.token_superpoint.max())) + 1 for s in samples]
        first = np.cumsum([0, *sizes])

        def gathered(name: str, gather: Callable, dtype: type | None = None) -> Tensor:
            arrays = [getattr(s, name) for s in samples]
            if name.endswith("superpoint"):
                arrays = [a + start for a, start in zip(arrays, first[:-1], strict=True)]
            return torch.from_numpy(gather(arrays).astype(dtype or arrays[0].dtype, copy=False)).to(device)

        types = {"patch_count": np.int16, "context_count": np.int16, "token_superpoint": np.int32}
        self.tokens = Tokens(*(gathered(name, np.concatenate, types.get(name)) for name in Tokens._fields))
        self.points = Points(*(gathered(name, np.stack) for name in Points._fields))
        self.scale = gathered("position_scale", np.stack)
        self.counts = np.array([len(s.position) for s in samples])
        self.count = torch.from_numpy(self.counts).to(device)
        self.start = self.count.cumsum(0) - self.count
        self.targets = _gather_targets(samples, first, dim, self.device)

    def choose(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """Draw samples (count,) by their chances."""
        return rng.choice(self.size, count, p=self.weights)

    def draw(
        self, chosen: np.ndarray, config: DrawConfig, rng: np.random.Generator | None = None, jitter: float = 0.0
    ) -> Batch:
        """Draw tokens and points of the samples `chosen` (B,), and disturb the tokens by `jitter`, see `disturb`.

        The same for a state of `rng`, which is needed for training only.
        """
        scene = torch.from_numpy(chosen).to(self.device, non_blocking=True)
        generator = torch.Generator(self.device)
        if config.training and rng is not None:
            generator.manual_seed(int(rng.integers(2**63 - 1)))
        tokens, points = self._draw_tokens(scene, config, generator), self._draw_points(scene, config, generator)
        # Points of the patches, then one rotation for all that belongs to a cloud
        limits = (config.patch_points, config.context_points) if config.training else (None, None)
        patch, mask = draw_patch_points(tokens.patch, tokens.patch_count, limits[0], generator)
        context, context_mask = draw_patch_points(tokens.context, tokens.context_count, limits[1], generator)
        rotated = config.training and config.rotate
        rotation = draw_rotations(len(chosen), generator) if rotated else torch.eye(3, device=self.device)[None]
        position, point = tokens.position @ rotation, points.point @ rotation
        weights = propagation_weights(point, position, points.point_superpoint, tokens.token_superpoint)
        scaled = position * self.scale[scene][:, None, None]
        inputs = TokenInput(patch, mask, context, context_mask, tokens.descriptor, scaled)
        superpoint, target, has_target, global_target = self._take_targets(scene, points.point_superpoint)
        if config.training:
            inputs = disturb(inputs, rotation, jitter, generator)
        label, category = points.point_label.long(), torch.full_like(scene, -1)
        return Batch(inputs, point, weights, label, superpoint, target, has_target, global_target, category)

    def _draw_tokens(self, scene: Tensor, config: DrawConfig, generator: torch.Generator) -> Tokens:
        """Draw tokens without repetition, as long as a cloud has more."""
        count = self.count[scene][:, None]
        column = torch.arange(config.tokens, device=self.device) % count
        if config.training:
            keys = torch.rand(len(scene), int(self.counts.max()), generator=generator, device=self.device)
            keys.masked_fill_(torch.arange(keys.shape[1], device=self.device) >= count, 2.0)
            column = keys.argsort(dim=1).gather(1, column)
        kept = self.start[scene][:, None] + column
        return Tokens(*(values[kept] for values in self.tokens))

    def _draw_points(self, scene: Tensor, config: DrawConfig, generator: torch.Generator) -> Points:
        """Draw points of the losses, with repetition if there are fewer; all of them outside of training."""
        count, shape = self.points.point.shape[1], (len(scene), config.points)
        if not config.training or count == config.points:
            return Points(*(values[scene] for values in self.points))
        if count < config.points:
            kept = torch.randint(count, shape, generator=generator, device=self.device)
        else:
            keys = torch.rand(len(scene), count, generator=generator, device=self.device)
            kept = keys.topk(config.points, dim=1, sorted=False).indices
        return Points(*(values[scene[:, None], kept] for values in self.points))

    def _take_targets(self, scene: Tensor, superpoint: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Superpoint ids (B, P) that are distinct across clouds, their targets, which have one, and the global ones."""
        if not self.dim:
            none = torch.zeros(0, 0, device=self.device)
            return superpoint.long(), none, none.flatten().bool(), none
        total = len(self.targets.feature)
        clouds = torch.arange(len(scene), device=self.device)[:, None]
        present, superpoint = (clouds * total + superpoint).unique(return_inverse=True)
        rows = present % total
        found = self.targets.feature[rows].float(), self.targets.has_feature[rows]
        return superpoint, *found, self.targets.global_feature[scene].float()


def draw_patch_points(
    points: Tensor, count: Tensor, limit: int | None, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Draw at most `limit` of the valid points of each patch, all if None: points float32 and their mask.

    points (B, N, M, 3 + F), of which the first `count` (B, N) are valid.
    """
    size = points.shape[2]
    valid = torch.arange(size, device=points.device) < count.unsqueeze(-1)
    if limit is None or limit >= size:
        return points.float(), valid
    keys = torch.rand(valid.shape, generator=generator, device=points.device).masked_fill_(~valid, 2.0)
    kept = keys.topk(limit, largest=False).indices  # in order, so that the valid ones come first
    points = points.gather(2, kept.unsqueeze(-1).expand(*kept.shape, points.shape[-1]))
    return points.float(), valid[..., :limit]


def draw_rotations(count: int, generator: torch.Generator) -> Tensor:
    """Rotations (count, 3, 3) about z by any angle, mirrored half of the time."""
    angle, flip = torch.rand(2, count, generator=generator, device=generator.device)
    cosine, sine, flip = (2 * torch.pi * angle).cos(), (2 * torch.pi * angle).sin(), 1 - 2 * (flip < 0.5).float()
    zero, one = torch.zeros_like(cosine), torch.ones_like(cosine)
    rows = (cosine * flip, sine, zero, -sine * flip, cosine, zero, zero, zero, one)
    return torch.stack(rows, dim=1).unflatten(1, (3, 3))


def disturb(inputs: TokenInput, rotation: Tensor, strength: float, generator: torch.Generator) -> TokenInput:
    """Rotate the patches of each cloud, and disturb its tokens, so that nothing fits procedural scenes exactly.

    At strength 1, patches and wide patches are stretched by about 8 % per axis and get noise; the descriptors' lengths
    are scaled together by about 12 %, all values get noise, and a tenth of the columns and of the tokens is zeroed.
    """
    device, (clouds, tokens, columns) = rotation.device, inputs.shape.shape

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, device=device) * strength

    def kept(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator, device=device) > 0.1 * strength

    stretched, moved = rotation * (0.08 * normal(clouds, 1, 3)).exp(), []
    for points, noise in ((inputs.patch, 0.03), (inputs.context, 0.01)):
        offsets = (points[..., :3].flatten(1, 2) @ stretched).view(points[..., :3].shape)
        moved.append(torch.cat([offsets + noise * normal(*offsets.shape), points[..., 3:]], dim=-1))
    shape = inputs.shape.clone()
    lengths = shape[..., :LENGTH_DIMS].sinh() * (0.12 * normal(clouds, 1, 1)).exp()
    shape[..., :LENGTH_DIMS] = lengths.asinh()
    shape = (shape + 0.08 * normal(*shape.shape)) * (kept(clouds, 1, columns) & kept(clouds, tokens, 1))
    return TokenInput(moved[0], inputs.mask, moved[1], inputs.context_mask, shape, inputs.position)


def _gather_targets(samples: Sequence[TokenSample], first: np.ndarray, dim: int, device: torch.device) -> Targets:
    """The 2D targets of samples whose superpoints begin at `first` (S + 1,)."""
    feature, global_feature = (np.zeros((n * bool(dim), dim), np.float16) for n in (first[-1], len(samples)))
    has_feature = np.zeros(len(feature), bool)
    for k, sample in enumerate(samples if dim else ()):
        if sample.targets is not None:
            inside = sample.targets.superpoint < first[k + 1] - first[k]  # the others have no point
            rows = sample.targets.superpoint[inside] + first[k]
            feature[rows], has_feature[rows] = sample.targets.feature[inside], True
            global_feature[k] = sample.targets.global_feature
    return Targets(*(torch.from_numpy(a).to(device) for a in (feature, has_feature, global_feature)))
