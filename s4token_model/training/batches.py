"""Batches of training: a loader draws clouds from samples, and a device computes the rest of a batch, such as Eq. 4.

What is drawn stays as small as on disk, in float16 without weights, so that a loader has little to do and to copy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor

from s4token_model.kernels.propagate import EPSILON, FALLBACK
from s4token_model.pipeline.tokenizer import TokenInput
from s4token_model.training.masked_modeling import Masks
from s4token_model.training.token_samples import TokenSample

T = TypeVar("T")
NO_MASKS = Masks(*torch.zeros(2, 0, 0, dtype=torch.long))  # of batches without a student


class DrawConfig(NamedTuple):
    """How a batch is drawn."""

    tokens: int  # per cloud; a cloud with fewer repeats some
    points: int = 0  # per cloud, that the losses look at
    patch_points: int = 0  # at most, of each patch
    context_points: int = 0  # at most, of each wide patch
    rotate: bool = True  # about z by any angle, mirrored half of the time
    training: bool = True  # False: the first tokens and all points as they are, nothing random
    axis_scale: float = 0.0  # each axis of a cloud is scaled by 1 - this to 1 + this
    jitter: float = 0.0  # standard deviation of noise on the patch points, in units of r
    context: bool = True  # False: without the wide patches, for a tokenizer that does not read them
    mask_ratio: float | None = None  # fraction of the tokens hidden from a student; None: no student


class Tokens(NamedTuple):
    """Tokens, of samples one after another (T, ...), or as drawn (B, N, ...)."""

    patch: Tensor  # (..., M, 3 + F) float16
    patch_count: Tensor  # (...) int16, the valid points, first in each row
    context: Tensor  # (..., C, 5) float16
    context_count: Tensor  # (...) int16
    descriptor: Tensor  # (..., 24)
    position: Tensor  # (..., 3)
    token_superpoint: Tensor  # (...) int32 ids within the cloud


class Points(NamedTuple):
    """The points that the losses look at, of samples (S, P, ...), or as drawn (B, P, ...)."""

    point: Tensor  # (..., 3)
    point_superpoint: Tensor  # (...) int32 ids within the cloud
    point_label: Tensor  # (...) int16; -1: none


class TargetRows(NamedTuple):
    """2D targets of B clouds with S superpoints in all, those of a cloud side by side; float16 if they are on disk."""

    feature: Tensor  # (S, E), zeros without one
    has_feature: Tensor  # (S,) bool
    global_feature: Tensor  # (B, E), zeros without one


class DrawnClouds(NamedTuple):
    """B clouds drawn for one step: what a batch is computed of, see `make_batch`."""

    tokens: Tokens
    points: Points
    targets: TargetRows
    start: Tensor  # (B, 1) long, first row of the cloud's superpoints in `targets`
    scale: Tensor  # (B,), TokenSample.position_scale
    category: Tensor  # (B,) long; -1: none
    rotation: Tensor  # (B, 3, 3); with axis_scale, of the scaled axes
    masks: Masks = NO_MASKS


class Batch(NamedTuple):
    """B clouds on the device of a step, with N tokens and P points each, and S superpoints in all."""

    inputs: TokenInput
    point: Tensor  # (B, P, 3)
    weights: Tensor  # (B, P, N) of Eq. 4
    label: Tensor  # (B, P) long; -1: none
    superpoint: Tensor  # (B, P) long ids in 0..S-1, distinct across clouds
    target: Tensor  # (S, E)
    has_target: Tensor  # (S,) bool
    global_target: Tensor  # (B, E), zeros if none
    category: Tensor  # (B,) long; -1: none
    center: Tensor  # (B, N, 3), of the tokens, in the units of `point`
    masks: Masks


def gather_targets(samples: Sequence[TokenSample], sizes: Sequence[int], dim: int) -> TargetRows:
    """Collect the 2D targets, of length `dim` (0: none), of samples with `sizes` superpoints each."""
    found = [sample.targets for sample in samples] if dim else []
    dtype = np.result_type(np.float16, *(targets.feature.dtype for targets in found if targets is not None))
    first = np.cumsum([0, *sizes])
    feature, global_feature = np.zeros((first[-1], dim), dtype), np.zeros((len(samples), dim), dtype)
    has_feature = np.zeros(len(feature), bool)
    for k, targets in enumerate(found):
        if targets is not None:
            inside = targets.superpoint < sizes[k]  # the others have no point
            rows = targets.superpoint[inside] + first[k]
            feature[rows], has_feature[rows] = targets.feature[inside], True
            global_feature[k] = targets.global_feature
    return TargetRows(*map(torch.from_numpy, (feature, has_feature, global_feature)))


def draw_patch_points(
    points: Tensor, count: Tensor, limit: int | None, random: Callable[..., Tensor]
) -> tuple[Tensor, Tensor]:
    """Draw at most `limit` of the valid points of each patch, all if None; returns points and their counts.

    points (..., M, 3 + F), of which the first `count` (...) are valid; random(*shape) are numbers in [0, 1).
    """
    size = points.shape[-2]
    if limit is None or limit >= size:
        return points, count
    keys = random(*points.shape[:-1]).masked_fill_(~_valid(size, count), 2.0)
    kept = keys.topk(limit, largest=False).indices.unsqueeze(-1)  # in order, so that the valid ones come first
    return points.gather(-2, kept.expand(*kept.shape[:-1], points.shape[-1])), count.clamp(max=limit)


def rotations(angle: Tensor, flip: Tensor) -> Tensor:
    """Rotations (B, 3, 3) about z by `angle` (B,), and mirrored in x where `flip` (B,) is -1, not 1."""
    cosine, sine, zero, one = angle.cos(), angle.sin(), torch.zeros_like(angle), torch.ones_like(angle)
    rows = (cosine * flip, sine, zero, -sine * flip, cosine, zero, zero, zero, one)
    return torch.stack(rows, dim=1).unflatten(1, (3, 3))


def to_device(value: T, device: str | torch.device) -> T:
    """Copy a tensor, or all those of a NamedTuple, to `device`; from pinned memory the copy does not wait for a GPU."""
    if isinstance(value, Tensor):
        return value.to(device, non_blocking=True)
    return type(value)(*(to_device(part, device) for part in value))


def make_batch(drawn: DrawnClouds) -> Batch:
    """Compute, on the device of `drawn`, float32 values, rotated clouds, masks and the weights of Eq. 4."""
    tokens, points, rotation = drawn.tokens, drawn.points, drawn.rotation
    position, point = tokens.position @ rotation, points.point @ rotation
    return Batch(
        inputs=TokenInput(
            rotate_patches(tokens.patch, rotation),
            _valid(tokens.patch.shape[2], tokens.patch_count),
            rotate_patches(tokens.context, rotation),
            _valid(tokens.context.shape[2], tokens.context_count),
            tokens.descriptor,
            position * drawn.scale[:, None, None],
        ),
        point=point,
        weights=propagation_weights(point, position, points.point_superpoint, tokens.token_superpoint),
        label=points.point_label.long(),
        superpoint=points.point_superpoint + drawn.start,
        target=drawn.targets.feature.float(),
        has_target=drawn.targets.has_feature,
        global_target=drawn.targets.global_feature.float(),
        category=drawn.category,
        center=position,
        masks=drawn.masks,
    )


def rotate_patches(points: Tensor, rotation: Tensor) -> Tensor:
    """Offsets (B, N, M, 3 + F), of which the first three are turned by `rotation` (B, 3, 3); float32."""
    points = points.float()
    turned = (points[..., :3].flatten(1, 2) @ rotation).view(points[..., :3].shape)
    return turned if points.shape[-1] == 3 else torch.cat([turned, points[..., 3:]], dim=-1)


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


def _valid(size: int, count: Tensor) -> Tensor:
    """Mask (..., size) of the first `count` (...) points of each row."""
    return torch.arange(size, device=count.device) < count.unsqueeze(-1)
