"""Losses on features of tokens and points: assignment, two-level distillation, and the text target.

What does not count is masked, not left out: a size that depends on values would make the CPU wait for a GPU.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity, cross_entropy, kl_div, log_softmax, normalize

from s4token_model.training.loop import distributed_mean


def assignment_loss(
    student: Tensor, teacher: Tensor, centroids: Tensor, temperature: float = 0.1, reach: Tensor | None = None
) -> Tensor:
    """L_assign = mean over masked tokens n of KL( Gamma^t_n || softmax_k cos(f_n, c_k) / tau ) (Eq. 6, 7).

    student (B, M, E) features f; teacher (B, M, K) assignment Gamma, rows sum to 1; centroids (B, K, E) features c.
    With `reach` (B, M, K) bool, the softmax is over the clusters where it is True, as Gamma is. Without, as Eq. 6 is
    printed, features cannot reach 0, not even the teacher's own: far clusters of alike features take their part.
    """
    logits = normalize(student, dim=-1) @ normalize(centroids, dim=-1).transpose(1, 2) / temperature
    if reach is None:
        return kl_div(log_softmax(logits, dim=-1), teacher, reduction="none").sum(dim=-1).mean()
    # Out of reach Gamma is 0, and 0 * -inf would be NaN
    log = log_softmax(logits.masked_fill(~reach, -torch.inf), dim=-1).masked_fill(~reach, 0.0)
    return kl_div(log, teacher, reduction="none").sum(dim=-1).mean()


def local_distillation(points: Tensor, superpoint: Tensor, target: Tensor, has_target: Tensor) -> Tensor:
    """L_local = mean over superpoints s of 1 - cos(mean_{i in s} f_i, target_s) (Eq. 8).

    Superpoints without a target or without a point do not count; the loss is 0 when none is left. points (P, E), of all
    clouds, by Eq. 4; superpoint (P,) long in 0..S-1, distinct across clouds; target (S, E); has_target (S,) bool.
    """
    total = torch.zeros_like(target).index_add(0, superpoint, points)
    used = has_target & torch.zeros_like(has_target).index_fill(0, superpoint, True)
    return distributed_mean(1 - cosine_similarity(total, target, dim=-1), used)


def global_distillation(cls: Tensor, target: Tensor) -> Tensor:
    """L_global = mean of 1 - cos([cls], mean multi-view feature) over clouds with a nonzero target (Eq. 9); (B, E)."""
    return distributed_mean(1 - cosine_similarity(cls, target, dim=-1), target.norm(dim=-1) > 0)


def text_loss(points: Tensor, text: Tensor, label: Tensor, class_weight: Tensor, temperature: float) -> Tensor:
    """L_text = weighted mean over points i of -log softmax_c( cos(f_i, t_c) / temperature ) at the label of i.

    points (P, E) features f; text (C, E) unit features t of the class names; label (P,) long, -1 does not count;
    class_weight (C,) > 0. 0 when no point counts.
    """
    scores = normalize(points, dim=-1) @ text.T / temperature
    total = cross_entropy(scores, label, class_weight, ignore_index=-1, reduction="sum")
    weight = class_weight[label.clamp(min=0)] * (label >= 0)
    return total / weight.sum().clamp(min=1e-12)


def balanced_weights(counts: Tensor, power: float = 0.5) -> Tensor:
    """Class weights ~ frequency^-power with mean 1 over the labeled points; absent classes count as one point."""
    weights = counts.clamp(min=1).double() ** -power
    return (weights * counts.sum() / (weights * counts).sum()).float()
