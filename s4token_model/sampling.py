"""Superpoint-weighted farthest point sampling (method: Sec. 3.2, Eq. 2 and C.3).

The paper prints the exponent as -gamma, which favours large superpoints; its text, its Fig. B and the limit gamma -> 1
say the opposite, so the exponent here is +gamma.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from s4token_model import blocks
from s4token_model.config import SamplingConfig


def sample(xyz: np.ndarray, superpoints: np.ndarray, config: SamplingConfig) -> np.ndarray:
    """Choose the centroids of the tokens.

    i_1 ~ Multinomial(w), then i_t = argmax_i D_i * w_i^gamma, with w_i = 1 / n_{l_i} normalised and D_i the least
    squared distance to the points chosen so far; ties go to the lowest index. xyz (H, 3), superpoints (H,) ids. Returns
    (N,) int32, N <= tokens: fewer where the cloud has fewer distinct candidate points. The same cloud and seed always
    give the same answer.
    """
    if len(xyz) == 0:
        return np.zeros(0, np.int32)
    sizes = np.bincount(superpoints)[superpoints]
    candidate = sizes >= config.min_superpoint
    if not candidate.any():
        candidate[:] = True
    weights = candidate / sizes
    weights /= weights.sum()
    first = int(np.searchsorted(np.cumsum(weights), np.random.default_rng(config.seed).random(), side="right"))
    first = min(first, int(np.flatnonzero(candidate)[-1]))  # the cumulated sum may end a rounding error below 1
    score_weights = np.where(candidate, weights**config.gamma, 0).astype(np.float32)
    return _weighted_fps(np.ascontiguousarray(xyz, np.float32), score_weights, first, config.tokens)


def farthest_points(xyz: np.ndarray, count: int) -> np.ndarray:
    """Plain farthest point sampling from index 0: (min(count, distinct points),) int32, ties to the lowest index."""
    return _weighted_fps(np.ascontiguousarray(xyz, np.float32), np.ones(len(xyz), np.float32), 0, count)


def _weighted_fps(xyz: np.ndarray, weights: np.ndarray, first: int, count: int) -> np.ndarray:
    """Bucketed, index for index what the definition gives: see _bucketed."""
    if len(xyz) == 0 or count == 0:
        return np.zeros(0, np.int32)
    index = blocks.build(xyz)
    return _bucketed(index.order, index.xyz, index.low, index.high, weights, first, min(count, len(xyz)))


@njit(cache=True, nogil=True)
def _bucketed(order, xyz, low, high, weights, first, count):
    """Blocks of neighbouring points are buckets: one whose box a new sample cannot reach is not touched.

    The float32 bound on the distance to a box never exceeds the distances computed for its points
    (blocks.box_distance), so nothing that has to change is missed.
    """
    leaves, points = low.shape[0] // 2, order.shape[0]
    buckets = (points + blocks.BLOCK - 1) // blocks.BLOCK
    squared = np.full(points, np.inf, np.float32)
    weight = weights[order]
    reach = np.full(buckets, np.inf, np.float32)  # largest squared distance in each bucket
    score, winner = np.zeros(buckets, np.float32), np.full(buckets, -1, np.int32)
    place = np.flatnonzero(order == first)[0]
    chosen = np.empty(count, np.int32)
    chosen[0] = first
    for t in range(1, count):
        x, y, z = xyz[0, place], xyz[1, place], xyz[2, place]
        best, farthest = np.float32(0.0), -1
        for b in range(buckets):
            if blocks.box_distance(low, high, leaves + b, x, y, z) < reach[b]:
                _update(b, points, order, xyz, x, y, z, squared, weight, reach, score, winner)
            if score[b] > best or (
                score[b] == best and farthest >= 0 and 0 <= winner[b] and order[winner[b]] < farthest
            ):
                best, farthest, place = score[b], order[winner[b]], winner[b]
        if farthest < 0:  # every candidate coincides with a chosen point
            return chosen[:t].copy()
        chosen[t] = farthest
    return chosen


@njit(cache=True, nogil=True, inline="always")
def _update(b, points, order, xyz, x, y, z, squared, weight, reach, score, winner):
    """Lower the distances in bucket b and find its best candidate anew; ties go to the lowest index of the cloud."""
    start = b * blocks.BLOCK
    far, best, at = np.float32(0.0), np.float32(0.0), -1
    for i in range(start, min(start + blocks.BLOCK, points)):
        dx, dy, dz = xyz[0, i] - x, xyz[1, i] - y, xyz[2, i] - z
        d = min(dx * dx + dy * dy + dz * dz, squared[i])
        squared[i] = d
        far = max(far, d)
        value = d * weight[i]
        if value > best or (value == best and at >= 0 and order[i] < order[at]):
            best, at = value, i
    reach[b], score[b], winner[b] = far, best, at
