"""Exact weighted farthest point sampling on a spatial index."""

from __future__ import annotations

import numpy as np

from s4token_model.kernels.kernel_cache import njit
from s4token_model.kernels.spatial_index import BLOCK, MortonIndex, box_distance

GROUP = 16  # buckets per group, a power of two
FAST = {"nogil": True}
INLINE = {**FAST, "inline": "always"}


def farthest_point_sampling(index: MortonIndex, weights: np.ndarray, first: int, count: int) -> np.ndarray:
    """Return i_1 = first, i_t = argmax_i D_i * weights_i, D_i the squared distance of i to the nearest earlier sample.

    weights (H,) float32 >= 0 -> (N,) int32 indices into the cloud; of equal scores the lowest index is chosen. Fewer
    than `count` samples if all other points have weight 0 or coincide with a sample.
    """
    count = min(count, len(index.order))
    return _sample(index, weights, first, count) if count else np.zeros(0, np.int32)


@njit(**FAST)
def _sample(index, weights, first, count):
    """Blocks of the index are buckets, 16 consecutive buckets form a group.

    A bucket or group whose box is farther from the new sample than its points are from the earlier samples is skipped.
    """
    order, xyz, boxes = index
    leaves, points, blocks = boxes.shape[1] // 2, len(order), xyz.shape[1] // BLOCK
    size = min(GROUP, leaves)
    groups = (blocks + size - 1) // size
    # Per point: squared distance to the nearest sample; padding has weight 0
    squared, weight = np.zeros((blocks, BLOCK), np.float32), np.zeros((blocks, BLOCK), np.float32)
    for i in range(points):
        squared[i // BLOCK, i % BLOCK], weight[i // BLOCK, i % BLOCK] = np.inf, weights[order[i]]
    points_of = xyz.reshape((3, blocks, BLOCK))
    # Per bucket and per group: largest squared distance, best score, sorted point that has it
    bucket_dist, group_dist = np.full(blocks, np.inf, np.float32), np.full(groups, np.inf, np.float32)
    bucket_best, group_best = np.zeros(blocks, np.float32), np.zeros(groups, np.float32)
    bucket_arg, group_arg = np.full(blocks, -1, np.int32), np.full(groups, -1, np.int32)
    chosen = np.empty(count, np.int32)
    chosen[0], new = first, np.int32(np.flatnonzero(order == first)[0])
    for t in range(1, count):
        x, y, z = xyz[0, new], xyz[1, new], xyz[2, new]
        best, new = np.float32(0), np.int32(-1)
        for g in range(groups):
            if box_distance(boxes, leaves // size + g, x, y, z) < group_dist[g]:
                farthest, top, arg = np.float32(0), np.float32(0), np.int32(-1)
                for b in range(g * size, min((g + 1) * size, blocks)):
                    if box_distance(boxes, leaves + b, x, y, z) < bucket_dist[b]:
                        bucket_dist[b], bucket_best[b] = _lower(b, squared, points_of, weight, (x, y, z))
                        bucket_arg[b] = _argbest(b, squared, weight, bucket_best[b], order)
                    farthest = max(farthest, bucket_dist[b])
                    if _is_better(bucket_best[b], bucket_arg[b], top, arg, order):
                        top, arg = bucket_best[b], bucket_arg[b]
                group_dist[g], group_best[g], group_arg[g] = farthest, top, arg
            if _is_better(group_best[g], group_arg[g], best, new, order):
                best, new = group_best[g], group_arg[g]
        if new < 0:  # every candidate coincides with a sample
            return chosen[:t].copy()
        chosen[t] = order[new]
    return chosen


@njit(**FAST, fastmath={"nnan", "nsz"})
def _lower(b, squared, xyz, weight, center):
    """Lower the squared distances of a bucket to those to a new sample; the largest, and the largest score.

    The numbers are no NaN, so the compiler may reorder the maxima.
    """
    x, y, z = center
    farthest, best = np.float32(0), np.float32(0)
    for j in range(squared.shape[1]):
        dx, dy, dz = xyz[0, b, j] - x, xyz[1, b, j] - y, xyz[2, b, j] - z
        squared[b, j] = min(squared[b, j], dx * dx + dy * dy + dz * dz)
    for j in range(squared.shape[1]):
        farthest, best = max(farthest, squared[b, j]), max(best, squared[b, j] * weight[b, j])
    return farthest, best


@njit(**INLINE)
def _argbest(b, squared, weight, best, order):
    """The sorted point of bucket b whose score is `best`, of several the one with the lowest index; -1 if it is 0."""
    found = np.int32(-1)
    if best > 0:
        for j in range(squared.shape[1]):
            if squared[b, j] * weight[b, j] == best:
                i = np.int32(b * BLOCK + j)
                if found < 0 or order[i] < order[found]:
                    found = i
    return found


@njit(**INLINE)
def _is_better(score, point, best, argbest, order):
    """Whether a candidate beats the best so far; of equal scores the lowest index of the cloud does."""
    return score > best or (score == best and argbest >= 0 and point >= 0 and order[point] < order[argbest])
