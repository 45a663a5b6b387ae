"""Two-level distillation from multi-view CLIP features (method: Sec. 3.4, Eq. 8 and 9)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity


def local_distillation(points: Tensor, superpoint: Tensor, target: Tensor, has_target: Tensor) -> Tensor:
    """L_local = mean over superpoints s seen by some view of 1 - cos(mean_{i in s} f_i, target_s)   (Eq. 8).

    points (P, E), propagated features, of one or several clouds; superpoint (P,) long, ids that differ between clouds;
    target (S, E); has_target (S,) bool. Superpoints without a point are left out; 0 when none is left.
    """
    total = torch.zeros_like(target).index_add(0, superpoint, points)
    count = torch.bincount(superpoint, minlength=len(target))
    used = has_target & (count > 0)
    if not used.any():
        return points.sum() * 0
    return (1 - cosine_similarity(total[used], target[used], dim=-1)).mean()


def global_distillation(cls: Tensor, target: Tensor) -> Tensor:
    """L_global = 1 - cos(student's [cls], mean multi-view feature), mean over clouds (Eq. 9); both (B, E)."""
    return (1 - cosine_similarity(cls, target, dim=-1)).mean()
