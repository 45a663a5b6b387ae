"""Superpoint-aware propagation of token scores to every point (method: Sec. 3.3, Eq. 4).

    d_ik = ||p_i - p_k|| / r + 1e-4,   w_ik = ([l_i = l_k] / d_ik) / sum_j ([l_i = l_j] / d_ij),   f_i = sum_k w_ik f_k

Class scores are propagated instead of features: <f_i, t_c> = sum_k w_ik <f_k, t_c>, and ||f_i||^2 = w_i^T G w_i with G
the Gram matrix of the tokens. Only pairs within one superpoint are computed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

CHUNK = 65536
FALLBACK = 3  # centroids taken for a point whose superpoint holds none


@dataclass(frozen=True)
class Anchors:
    """Where the tokens sit: centers (N, 3), superpoint (N,) int, and the patch radius r in the unit of the centers."""

    centers: np.ndarray
    superpoint: np.ndarray
    radius: float


def propagate(
    xyz: np.ndarray, superpoints: np.ndarray, anchors: Anchors, scores: np.ndarray, gram: np.ndarray | None = None
) -> np.ndarray:
    """Bring token scores (N, C) to the points: (H, C) float32, sum_k w_ik scores_k.

    With `gram` (N, N), the inner products of the token features, each row is divided by ||f_i||, which turns inner
    products with unit vectors into cosines. xyz (H, 3); superpoints (H,) ids. Needs at least one token.
    """
    out = np.empty((len(xyz), scores.shape[1]), np.float32)
    for points, values in score_blocks(xyz, superpoints, anchors, scores, gram):
        out[points] = values
    return out


def score_blocks(
    xyz: np.ndarray, superpoints: np.ndarray, anchors: Anchors, scores: np.ndarray, gram: np.ndarray | None = None
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield (points (h,), propagated scores (h, C) float32) that cover all points once; arguments as in `propagate`.

    A block at a time bounds the memory of a thousand words on a million points.
    """
    for points, tokens, weights in weighted(xyz, superpoints, anchors):
        if tokens.ndim == 1:
            values = weights @ scores[tokens]
            squared = None if gram is None else ((weights @ gram[np.ix_(tokens, tokens)]) * weights).sum(axis=1)
        else:
            values = np.einsum("hk,hkc->hc", weights, scores[tokens])
            squared = None if gram is None else _quadratic(weights, gram[tokens[:, :, None], tokens[:, None, :]])
        yield points, values if squared is None else values / np.sqrt(np.maximum(squared, 1e-12))[:, None]


def weighted(
    xyz: np.ndarray, superpoints: np.ndarray, anchors: Anchors
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield the sparse weights w in blocks that cover all points once.

    A block is (points (h,), tokens (m,) or (h, m), weights (h, m) float32). Tokens are one list for the whole block
    where all its points share a superpoint, and one row per point in the fallback.
    """
    order = np.argsort(superpoints, kind="stable")
    largest = max(int(superpoints.max(initial=0)), int(anchors.superpoint.max()))
    starts = np.searchsorted(superpoints[order], np.arange(largest + 2))
    covered = np.zeros(len(starts) - 1, bool)
    for superpoint in np.unique(anchors.superpoint):
        covered[superpoint] = True
        tokens = np.flatnonzero(anchors.superpoint == superpoint)
        members = order[starts[superpoint] : starts[superpoint + 1]]
        for begin in range(0, len(members), CHUNK):
            points = members[begin : begin + CHUNK]
            yield points, tokens, _weights(_distances(xyz[points], anchors.centers[tokens]), anchors.radius)
    orphans = order[~covered[superpoints[order]]]
    tree = cKDTree(anchors.centers)
    for begin in range(0, len(orphans), CHUNK):
        points = orphans[begin : begin + CHUNK]
        distance, tokens = tree.query(xyz[points], k=min(FALLBACK, len(anchors.centers)), workers=-1)
        distance, tokens = (x.reshape(len(points), -1) for x in (distance, tokens))
        yield points, tokens, _weights(distance.astype(np.float32), anchors.radius)


def _weights(distances: np.ndarray, radius: float) -> np.ndarray:
    inverse = 1 / (distances / np.float32(radius) + np.float32(1e-4))
    return (inverse / inverse.sum(axis=1, keepdims=True)).astype(np.float32)


def _distances(points: np.ndarray, centers: np.ndarray) -> np.ndarray:
    """(h, m) float32, by differences: the expanded square would lose the small distances that weigh most."""
    squared = np.zeros((len(points), len(centers)), np.float32)
    for axis in range(3):
        squared += np.subtract.outer(points[:, axis].astype(np.float32), centers[:, axis].astype(np.float32)) ** 2
    return np.sqrt(squared)


def _quadratic(weights: np.ndarray, gram: np.ndarray) -> np.ndarray:
    return np.einsum("hk,hkl,hl->h", weights, gram, weights)
