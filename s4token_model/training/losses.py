"""Losses on features of tokens and points: assignment, two-level distillation, and the text target."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity, cross_entropy, kl_div, log_softmax, normalize

from s4token_model.training.distributed import distributed_mean


def assignment_loss(student: Tensor, teacher: Tensor, centroids: Tensor, temperature: float = 0.1) -> Tensor:
    """L_assign = mean over masked tokens n of KL( Gamma^t_n || softmax_k cos(f_n, c_k) / tau ) (Eq. 6, 7).

    Args:
        student: (B, M, E) reconstructed features of the masked tokens.
        teacher: (B, M, K) assignment to the clusters; rows sum to 1.
        centroids: (B, K, E) features of the clusters.
        temperature: tau.
    """
    logits = normalize(student, dim=-1) @ normalize(centroids, dim=-1).transpose(1, 2) / temperature
    return kl_div(log_softmax(logits, dim=-1), teacher, reduction="none").sum(dim=-1).mean()


def local_distillation(points: Tensor, superpoint: Tensor, target: Tensor, has_target: Tensor) -> Tensor:
    """L_local = mean over superpoints s of 1 - cos(mean_{i in s} f_i, target_s) (Eq. 8).

    Superpoints without a target or without a point do not count; the loss is 0 when none is left.

    Args:
        points: (P, E) features of the points of all clouds, by Eq. 4.
        superpoint: (P,) long ids in 0..S-1, distinct across clouds.
        target: (S, E) multi-view CLIP features.
        has_target: (S,) bool.
    """
    total = torch.zeros_like(target).index_add(0, superpoint, points)
    used = has_target & (torch.bincount(superpoint, minlength=len(target)) > 0)
    return distributed_mean(1 - cosine_similarity(total[used], target[used], dim=-1))


def global_distillation(cls: Tensor, target: Tensor) -> Tensor:
    """L_global = mean of 1 - cos([cls], mean multi-view feature) over clouds with a nonzero target (Eq. 9); (B, E)."""
    known = target.norm(dim=-1) > 0
    return distributed_mean(1 - cosine_similarity(cls[known], target[known], dim=-1))


def text_loss(points: Tensor, text: Tensor, label: Tensor, class_weight: Tensor, temperature: float) -> Tensor:
    """L_text = weighted mean over points i of -log softmax_c( cos(f_i, t_c) / temperature ) at the label of i.

    Args:
        points: (P, E) features.
        text: (C, E) unit text features of the class names.
        label: (P,) long.
        class_weight: (C,) positive.
        temperature: of the softmax.
    """
    logits = normalize(points, dim=-1) @ text.T / temperature
    return cross_entropy(logits, label, class_weight)


def balanced_weights(counts: Tensor, power: float = 0.5) -> Tensor:
    """Class weights ~ frequency^-power with mean 1 over the labeled points; absent classes count as one point."""
    weights = counts.clamp(min=1).double() ** -power
    return (weights * counts.sum() / (weights * counts).sum()).float()
