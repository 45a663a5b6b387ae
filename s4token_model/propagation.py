"""Superpoint-aware propagation of token scores to every point (method: Sec. 3.3, Eq. 4).

    d_ik = ||p_i - p_k|| / r + 1e-4,   w_ik = ([l_i = l_k] / d_ik) / sum_j ([l_i = l_j] / d_ij),   f_i = sum_k w_ik f_k

Class scores are propagated instead of features: <f_i, t_c> = sum_k w_ik <f_k, t_c>, and ||f_i||^2 = w_i^T G w_i with G
the Gram matrix of the tokens. Only pairs within one superpoint are computed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numba import njit
from scipy.spatial import cKDTree

from s4token_model.blocks import in_threads

CHUNK = 65536
FALLBACK = 3  # centroids taken for a point whose superpoint holds none
NONE = np.zeros((0, 0), np.int64)


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
    tokens = np.argsort(anchors.superpoint, kind="stable")  # those of a superpoint side by side
    centers, scores = anchors.centers[tokens].astype(np.float32), np.ascontiguousarray(scores[tokens], np.float32)
    gram = (
        np.zeros((0, 0), np.float32) if gram is None else np.ascontiguousarray(gram[np.ix_(tokens, tokens)], np.float32)
    )
    largest = max(int(superpoints.max(initial=0)), int(anchors.superpoint.max()))
    starts = np.searchsorted(anchors.superpoint[tokens], np.arange(largest + 2))
    order = np.argsort(superpoints, kind="stable")  # neighbours in this order read the same rows of the Gram matrix
    covered = (starts[1:] > starts[:-1])[superpoints[order]]
    tree = cKDTree(centers)
    for group, fallback in ((order[covered], 0), (order[~covered], min(FALLBACK, len(centers)))):
        for begin in range(0, len(group), CHUNK):
            points = group[begin : begin + CHUNK]
            near, own = xyz[points].astype(np.float32), superpoints[points]
            nearest = tree.query(near, k=fallback or 1, workers=-1)[1].reshape(len(points), -1) if fallback else NONE
            values = np.empty((len(points), scores.shape[1]), np.float32)
            rows = (near, own, starts, centers, np.float32(anchors.radius), scores, gram, nearest, values)
            in_threads(lambda a, b, rows=rows: _score(a, b, *rows), len(points))  # type: ignore[misc]
            yield points, values


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})
def _score(begin, end, xyz, superpoints, starts, centers, radius, scores, gram, nearest, values):
    """values[begin:end] = sum_k w_ik scores_k, over ||f_i|| where a Gram matrix is given.

    A point's tokens are those of its superpoint, one stretch of the sorted tokens, or row i of `nearest` where that has
    columns.
    """
    fallback = nearest.shape[1]
    weight = np.empty(centers.shape[0], np.float32)
    for i in range(begin, end):
        first = 0 if fallback else starts[superpoints[i]]
        count = fallback if fallback else starts[superpoints[i] + 1] - first
        total = np.float32(0)
        for k in range(count):
            t = nearest[i, k] if fallback else first + k
            dx, dy, dz = xyz[i, 0] - centers[t, 0], xyz[i, 1] - centers[t, 1], xyz[i, 2] - centers[t, 2]
            weight[k] = np.float32(1) / (np.sqrt(dx * dx + dy * dy + dz * dz) / radius + np.float32(1e-4))
            total += weight[k]
        for k in range(count):
            weight[k] /= total
        values[i] = 0
        squared = np.float32(0)
        for k in range(count):
            t = nearest[i, k] if fallback else first + k
            for c in range(scores.shape[1]):
                values[i, c] += weight[k] * scores[t, c]
            if gram.shape[0]:
                inner = np.float32(0)
                for j in range(k):
                    inner += weight[j] * gram[t, nearest[i, j] if fallback else first + j]
                squared += weight[k] * (2 * inner + weight[k] * gram[t, t])
        if gram.shape[0]:
            scale = np.float32(1) / np.sqrt(max(squared, np.float32(1e-12)))
            for c in range(scores.shape[1]):
                values[i, c] *= scale
