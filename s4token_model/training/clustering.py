"""Spatially constrained clustering of the teacher's tokens (Sec. 3.4, App. A.3, Eq. 13 to 15)."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import normalize

from s4token_model.training.masked_modeling import gather

SHARPNESS = 0.05  # temperature of the cosines in Sinkhorn's kernel


class Clusters(NamedTuple):
    """K clusters of the tokens of each cloud."""

    assignment: Tensor  # (B, N, K), rows sum to 1
    reach: Tensor  # (B, N, K) bool, the last M, where the assignment may be above 0
    features: Tensor  # (B, K, E) unit rows
    xyz: Tensor  # (B, K, 3)
    radius: Tensor  # (B,)


@torch.no_grad()
def spatial_clusters(features: Tensor, xyz: Tensor, count: int, rounds: int = 20) -> Clusters:
    """Cluster the tokens of each cloud by feature, each among the centroids within a radius R of it.

    features (B, N, E); xyz (B, N, 3), any unit. Per round, with M_nk = [ ||p_n - c_k|| <= R ],

        S_nk = cos(f_n, c_k) where M_nk, else -inf   (13);   Gamma = Sinkhorn(S)   (14)
        c_k = sum_n Gamma_nk (f_n, p_n) / sum_n Gamma_nk   (15), features and positions alike.

    Centroids start at farthest points; R is their mean distance to the nearest other one. A token without a centroid in
    R goes to its nearest one; a cluster without mass keeps its centroid. ValueError: more clusters than tokens.
    """
    if not 1 <= count <= features.shape[1]:
        raise ValueError(f"clusters={count} must be from 1 to the number of tokens, {features.shape[1]}")
    features = normalize(features.float(), dim=-1)
    start = farthest_tokens(xyz, count)
    center_features, center = gather(features, start), gather(xyz, start)
    distance = torch.cdist(center, center, compute_mode="donot_use_mm_for_euclid_dist")
    distance.diagonal(dim1=1, dim2=2).fill_(torch.inf)
    radius = distance.amin(dim=2).mean(dim=1)  # infinite for a single centroid
    for _ in range(rounds):
        gamma = masked_sinkhorn(features @ center_features.transpose(1, 2), within_radius(xyz, center, radius))
        mass = gamma.sum(dim=1).unsqueeze(-1)
        alive = mass > 1e-6
        weight = gamma.transpose(1, 2) / mass.clamp(min=1e-6)
        center_features = torch.where(alive, normalize(weight @ features, dim=-1), center_features)
        center = torch.where(alive, weight @ xyz, center)
    reach = within_radius(xyz, center, radius)
    gamma = masked_sinkhorn(features @ center_features.transpose(1, 2), reach)
    return Clusters(gamma, reach, center_features, center, radius)


def within_radius(xyz: Tensor, center: Tensor, radius: Tensor) -> Tensor:
    """(B, N, K) bool: token n lies within R of centroid k, or within R of none, and k is the nearest."""
    distance = torch.cdist(xyz, center, compute_mode="donot_use_mm_for_euclid_dist")
    mask = distance <= radius.view(-1, 1, 1)
    nearest = torch.zeros_like(mask).scatter_(2, distance.argmin(dim=2, keepdim=True), True)
    return mask | (nearest & ~mask.any(dim=2, keepdim=True))


def masked_sinkhorn(similarity: Tensor, mask: Tensor, steps: int = 3) -> Tensor:
    """Gamma = diag(u) exp(S / 0.05) diag(v) under the mask: columns aim at N / K, rows sum to 1 exactly.

    similarity and mask are (..., N, K), with a True in every row of the mask. A column without any True stays 0. In the
    log domain, so that no kernel value under- or overflows.
    """
    tokens, clusters = similarity.shape[-2:]
    log = (similarity / SHARPNESS).masked_fill(~mask, -torch.inf)
    target_mass = math.log(tokens / clusters)
    for _ in range(steps):
        column = torch.logsumexp(log, dim=-2, keepdim=True)
        log = log - torch.where(column.isfinite(), column - target_mass, 0.0)
        log = log - torch.logsumexp(log, dim=-1, keepdim=True)
    return log.exp()


def farthest_tokens(xyz: Tensor, count: int) -> Tensor:
    """(B, N, 3) -> (B, K) long: farthest point samples, the first is token 0; ties to the lowest index."""
    chosen = torch.zeros(len(xyz), count, dtype=torch.long, device=xyz.device)
    nearest = (xyz - xyz[:, :1]).square().sum(dim=-1)
    for k in range(1, count):
        chosen[:, k] = nearest.argmax(dim=1)
        nearest = torch.minimum(nearest, (xyz - gather(xyz, chosen[:, k : k + 1])).square().sum(dim=-1))
    return chosen
