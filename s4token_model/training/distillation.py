"""Two-level distillation from multi-view CLIP features (method: Sec. 3.4, Eq. 8 and 9)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity


def local_distances(points: Tensor, superpoint: Tensor, target: Tensor, has_target: Tensor) -> Tensor:
    """1 - cos(mean_{i in s} f_i, target_s) of every superpoint s that has a target and a point (Eq. 8); (n,).

    points (P, E), propagated features, of one or several clouds; superpoint (P,) long, ids that differ between clouds;
    target (S, E); has_target (S,) bool.
    """
    total = torch.zeros_like(target).index_add(0, superpoint, points)
    used = has_target & (torch.bincount(superpoint, minlength=len(target)) > 0)
    return 1 - cosine_similarity(total[used], target[used], dim=-1)


def local_distillation(points: Tensor, superpoint: Tensor, target: Tensor, has_target: Tensor) -> Tensor:
    """L_local, the mean of `local_distances`; 0 when no superpoint has a target and a point."""
    distances = local_distances(points, superpoint, target, has_target)
    return distances.mean() if len(distances) else points.sum() * 0


def global_distances(cls: Tensor, target: Tensor) -> Tensor:
    """1 - cos(student's [cls], mean multi-view feature) of every cloud whose target is not zero (Eq. 9); (n,)."""
    known = target.norm(dim=-1) > 0
    return 1 - cosine_similarity(cls[known], target[known], dim=-1)


def global_distillation(cls: Tensor, target: Tensor) -> Tensor:
    """L_global = 1 - cos(student's [cls], mean multi-view feature), mean over clouds (Eq. 9); both (B, E)."""
    return (1 - cosine_similarity(cls, target, dim=-1)).mean()
