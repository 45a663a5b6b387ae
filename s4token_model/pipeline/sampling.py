"""Superpoint-weighted farthest point sampling (method: Sec. 3.2, Eq. 2 and C.3).

The paper prints the exponent as -gamma, which favors large superpoints; its text, its Fig. B and the limit gamma -> 1
say the opposite, so the exponent here is +gamma.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from s4token_model.config import SamplingConfig
from s4token_model.kernels import simd, spatial_index

GROUP = 16  # buckets, a power of two


def sample(xyz: np.ndarray, superpoints: np.ndarray, config: SamplingConfig) -> np.ndarray:
    """Choose the centroids of the tokens.

    i_1 ~ Multinomial(w), then i_t = argmax_i D_i * w_i^gamma, with w_i = 1 / n_{l_i} normalized and D_i the least
    squared distance to the points chosen so far; ties go to the lowest index. xyz (H, 3), superpoints (H,) ids. Returns
    (N,) int32, N <= tokens: fewer where the cloud has fewer distinct candidate points. The same cloud and seed always
    give the same answer.
    """
    if len(xyz) == 0:
        return np.zeros(0, np.int32)
    sizes = np.bincount(superpoints)
    candidate = sizes >= config.min_superpoint
    if not (candidate & (sizes > 0)).any():
        candidate[:] = True
    share = candidate / np.maximum(sizes, 1)  # of superpoints; all points of one weigh the same
    weights = share[superpoints]
    total = weights.sum()
    score = np.where(candidate, (share / total) ** config.gamma, 0).astype(np.float32)
    score_weights = score[superpoints]
    weights /= total
    first = int(np.searchsorted(np.cumsum(weights), np.random.default_rng(config.seed).random(), side="right"))
    if first >= len(weights) or weights[first] == 0:  # the cumulated sum may end a rounding error below 1
        first = int(np.flatnonzero(weights)[-1])
    return _weighted_fps(np.ascontiguousarray(xyz, np.float32), score_weights, first, config.tokens)


def farthest_points(xyz: np.ndarray, count: int) -> np.ndarray:
    """Plain farthest point sampling from index 0: (min(count, distinct points),) int32, ties to the lowest index."""
    return _weighted_fps(np.ascontiguousarray(xyz, np.float32), np.ones(len(xyz), np.float32), 0, count)


def _weighted_fps(xyz: np.ndarray, weights: np.ndarray, first: int, count: int) -> np.ndarray:
    """Bucketed, index for index what the definition gives: see _bucketed."""
    if len(xyz) == 0 or count == 0:
        return np.zeros(0, np.int32)
    index = spatial_index.build(xyz)
    return _bucketed(index.order, index.xyz, index.low, index.high, weights, first, min(count, len(xyz)))


@njit(cache=True, nogil=True)
def _bucketed(order, xyz, low, high, weights, first, count):
    """Blocks of neighboring points are buckets: one whose box a new sample cannot reach is not touched, and neither is
    a group of buckets, a node of the tree above them.

    The float32 bound on the distance to a box never exceeds the distances computed for its points
    (blocks.box_distance), so nothing that has to change is missed.
    """
    leaves, points = low.shape[1] // 2, order.shape[0]
    size = min(GROUP, leaves)
    buckets = (points + spatial_index.BLOCK - 1) // spatial_index.BLOCK
    groups = (buckets + size - 1) // size
    squared, weight = (
        np.zeros(buckets * spatial_index.BLOCK, np.float32),
        np.zeros(buckets * spatial_index.BLOCK, np.float32),
    )
    squared[:points] = np.inf
    weight[:points] = weights[order]
    # of buckets, and of groups of them: the largest squared distance, the best score and where it is
    reach, far = np.full(buckets, np.inf, np.float32), np.full(groups, np.inf, np.float32)
    score, top = np.zeros(buckets, np.float32), np.zeros(groups, np.float32)
    winner, leader = np.full(buckets, -1, np.int32), np.full(groups, -1, np.int32)
    place = np.flatnonzero(order == first)[0]
    chosen = np.empty(count, np.int32)
    chosen[0] = first
    for t in range(1, count):
        x, y, z = xyz[0, place], xyz[1, place], xyz[2, place]
        best, at = np.float32(0.0), -1
        for g in range(groups):
            if spatial_index.box_distance(low, high, leaves // size + g, x, y, z) < far[g]:
                start, stop = g * size, min((g + 1) * size, buckets)
                for b in range(start, stop):
                    if spatial_index.box_distance(low, high, leaves + b, x, y, z) < reach[b]:
                        _update(b, order, xyz, x, y, z, squared, weight, reach, score, winner)
                far[g], top[g], leader[g] = np.float32(0.0), np.float32(0.0), -1
                for b in range(start, stop):
                    far[g] = max(far[g], reach[b])
                    if _ahead(score[b], winner[b], top[g], leader[g], order):
                        top[g], leader[g] = score[b], winner[b]
            if _ahead(top[g], leader[g], best, at, order):
                best, at = top[g], leader[g]
        if at < 0:  # every candidate coincides with a chosen point
            return chosen[:t].copy()
        place, chosen[t] = at, order[at]
    return chosen


@njit(cache=True, nogil=True, inline="always")
def _ahead(score, place, best, at, order):
    """Whether a candidate beats the best so far; of equal ones the lowest index of the cloud does."""
    return score > best or (score == best and at >= 0 and place >= 0 and order[place] < order[at])


@njit(cache=True, nogil=True, inline="always")
def _update(b, order, xyz, x, y, z, squared, weight, reach, score, winner):
    """Lower the distances in bucket b and find its best candidate anew; ties go to the lowest index of the cloud."""
    start = b * spatial_index.BLOCK
    reach[b] = simd.lower_distances(xyz, start, x, y, z, squared)
    best, reached = simd.largest_product(squared, weight, start)
    at = -1
    while reached and best > 0:
        i = start + simd.lowest(reached)
        reached &= reached - 1
        if at < 0 or order[i] < order[at]:
            at = i
    score[b], winner[b] = best, at
