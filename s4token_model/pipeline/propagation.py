"""Superpoint-aware propagation of token scores to every point (method: Sec. 3.3, Eq. 4).

    d_ik = ||p_i - p_k|| / r + 1e-4,   w_ik = ([l_i = l_k] / d_ik) / sum_j ([l_i = l_j] / d_ij),   f_i = sum_k w_ik f_k

Class scores are propagated instead of features: <f_i, t_c> = sum_k w_ik <f_k, t_c>, and ||f_i||^2 = w_i^T G w_i with G
the Gram matrix of the tokens. Only pairs within one superpoint are computed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numba import njit

from s4token_model.kernels import simd
from s4token_model.kernels.parallel import parallel_for
from s4token_model.kernels.spatial_index import grouped

CHUNK = 65536
LANES = simd.LANES
FAR = np.float32(3e38)
NEAREST = np.float32(1e-4)  # added to distances in radii
LEAST = np.float32(1e-12)  # of the squared norm of a point's feature
FALLBACK = 3  # centroids taken for a point whose superpoint holds none
FAST = {"cache": True, "nogil": True, "fastmath": {"reassoc", "contract", "nsz", "arcp"}}


@dataclass(frozen=True)
class TokenCenters:
    """Where the tokens sit: centers (N, 3), superpoint (N,) int, and the patch radius r in the unit of the centers."""

    centers: np.ndarray
    superpoint: np.ndarray
    radius: float


def propagate(
    xyz: np.ndarray, superpoints: np.ndarray, anchors: TokenCenters, scores: np.ndarray, gram: np.ndarray | None = None
) -> np.ndarray:
    """Bring token scores (N, C) to the points: (H, C) float32, sum_k w_ik scores_k.

    With `gram` (N, N), the inner products of the token features, each row is divided by ||f_i||, which turns inner
    products with unit vectors into cosines. xyz (H, 3); superpoints (H,) ids. Needs at least one token.
    """
    out = np.empty((len(xyz), scores.shape[1]), np.float32)
    score, order = _scorer(xyz, superpoints, anchors, scores, gram)
    parallel_for(lambda a, b: score(a, b, order, True, out), len(order))
    return out


def score_blocks(
    xyz: np.ndarray, superpoints: np.ndarray, anchors: TokenCenters, scores: np.ndarray, gram: np.ndarray | None = None
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield (points (h,), propagated scores (h, C) float32) that cover all points once; arguments as in `propagate`.

    A block at a time bounds the memory of a thousand words on a million points.
    """
    score, order = _scorer(xyz, superpoints, anchors, scores, gram)
    for begin in range(0, len(order), CHUNK):
        points = order[begin : begin + CHUNK]
        values = np.empty((len(points), scores.shape[1]), np.float32)
        parallel_for(lambda a, b, p=points, v=values: score(a, b, p, False, v), len(points))  # type: ignore[misc]
        yield points, values


def _scorer(xyz, superpoints, anchors: TokenCenters, scores, gram) -> tuple[Callable[..., None], np.ndarray]:
    """A function (begin, end, points, in_place, values) that fills the rows of points[begin:end], and all points sorted
    by superpoint: up to 16 points of one are scored together."""
    tokens = np.argsort(anchors.superpoint, kind="stable")  # those of a superpoint side by side
    centers, scores = anchors.centers[tokens].astype(np.float32), np.ascontiguousarray(scores[tokens], np.float32)
    products = np.zeros((0, 0), np.float32)
    if gram is not None:
        products = np.ascontiguousarray(gram[np.ix_(tokens, tokens)], np.float32)
    largest = max(int(superpoints.max(initial=0)), int(anchors.superpoint.max()))
    starts = np.searchsorted(anchors.superpoint[tokens], np.arange(largest + 2))
    cloud = np.ascontiguousarray(xyz, np.float32), np.ascontiguousarray(superpoints, np.int32)
    tables = starts, _lanes(centers), len(centers), np.float32(1 / anchors.radius)
    rows = scores, np.ascontiguousarray(scores.T), products

    def score(begin: int, end: int, points: np.ndarray, in_place: bool, values: np.ndarray) -> None:
        _score(begin, end, points, in_place, *cloud, *tables, rows, values)

    return score, grouped(superpoints, largest + 1)


def _lanes(centers: np.ndarray) -> np.ndarray:
    """Coordinates (3, N rounded up to whole lanes) float32 of the centers, filled up with far ones."""
    columns = np.full((3, -(-len(centers) // LANES) * LANES), 1e15, np.float32)
    columns[:, : len(centers)] = centers.T
    return columns


@njit(**FAST)
def _score(begin, end, points, in_place, xyz, superpoints, starts, centers, tokens, scale, rows, values):
    """Of points[begin:end]: sum_k w_ik scores_k over the tokens of its superpoint, one stretch of the sorted tokens, or
    over the nearest ones where it has none; over ||f_i|| where a Gram matrix is given. Into the rows of the points
    where `in_place`, else into the rows begin..end-1.

    rows: scores (N, C), their transpose and the Gram matrix, or (0, 0).
    """
    block = np.empty((3, LANES), np.float32)
    words = values.shape[1]
    room, mixed = np.empty(LANES * tokens, np.float32), np.empty(LANES * tokens, np.float32)
    sums = np.empty(LANES * (words + 2), np.float32)
    squared, candidate = np.empty(centers.shape[1], np.float32), np.empty(centers.shape[1], np.int32)
    best, nearest = np.empty(FALLBACK * LANES, np.float32), np.empty(FALLBACK * LANES, np.int32)
    norm, seen = np.empty(LANES, np.float32), -1
    first = begin
    while first < end:
        label, stop = superpoints[points[first]], first + 1
        while stop < min(end, first + LANES) and superpoints[points[stop]] == label:
            stop += 1
        for p in range(LANES):
            i = points[min(first + p, stop - 1)]
            for a in range(3):
                block[a, p] = xyz[i, a]
        if starts[label + 1] > starts[label]:
            _blend_own(block, centers, starts[label], starts[label + 1], scale, rows, room, mixed, sums)
            for p in range(stop - first):
                row = points[first + p] if in_place else first + p
                for c in range(words):
                    values[row, c] = sums[c * LANES + p] * sums[words * LANES + p]
        else:
            middle, half = _middle(block)
            if seen == label:
                reach = _farthest(middle, centers, nearest)
            else:
                reach = _third_nearest(middle, centers, min(FALLBACK, tokens), squared)
            near = _candidates(middle, reach + 2 * half, centers, tokens, candidate)
            simd.nearest_three(block, centers, candidate, near, best, nearest)
            _weigh(best, nearest, min(FALLBACK, tokens), scale, rows[2], norm)
            _blend_three(best, nearest, stop - first, points, first, in_place, rows[0], values)
            seen = label
        first = stop


@njit(**FAST)
def _blend_own(block, centers, first, stop, scale, rows, weight, mixed, sums):
    """Scores of 16 points in the first rows of `sums`, and what to multiply them with in the next; over the tokens
    first..stop-1."""
    _, words, gram = rows
    count, last = stop - first, len(words) * LANES
    for k in range(count):
        x, y, z = centers[0, first + k], centers[1, first + k], centers[2, first + k]
        simd.inverse_distances(block, 0, x, y, z, scale, NEAREST, weight, k * LANES)
    for c in range(len(words)):
        simd.weighted_sum(weight, count, words, c, first, sums, c * LANES)
    for p in range(LANES):
        sums[last + p] = 0
    for k in range(count):
        for p in range(LANES):
            sums[last + p] += weight[k * LANES + p]
    if gram.shape[0] == 0:
        for p in range(LANES):
            sums[last + p] = 1 / sums[last + p]
        return
    for k in range(count):
        simd.weighted_sum(weight, count, gram, first + k, first, mixed, k * LANES)
    simd.row_products(weight, mixed, count, sums, last + LANES)
    for p in range(LANES):
        total = sums[last + p]
        sums[last + p] = 1 / np.sqrt(max(sums[last + LANES + p], LEAST * total * total))


@njit(**FAST)
def _middle(block):
    """The middle of the box of 16 points, and half its diagonal.

    If three centers are within d of the middle m, the three nearest to any of the points, which are within h of m, are
    within d + h of it, hence within d + 2 h of m.
    """
    half = np.float32(0)
    middle = np.empty(3, np.float32)
    for a in range(3):
        low = high = block[a, 0]
        for p in range(1, LANES):
            low, high = min(low, block[a, p]), max(high, block[a, p])
        middle[a] = np.float32(0.5) * (low + high)
        half += (high - low) * (high - low) * np.float32(0.25)
    return middle, np.sqrt(half)


@njit(**FAST)
def _farthest(middle, centers, nearest):
    """Distance from the middle to the farthest of the three centers that the block before found for its first point."""
    most = np.float32(0)
    for k in range(0, FALLBACK * LANES, LANES):
        away = np.float32(0)
        for a in range(3):
            away += (middle[a] - centers[a, nearest[k]]) ** 2
        most = max(most, away)
    return np.sqrt(most)


@njit(**FAST)
def _third_nearest(middle, centers, count, squared):
    """Distance from the middle to the last of the `count` centers nearest to it."""
    best = np.full(count, FAR, np.float32)
    for start in range(0, len(squared), LANES):
        simd.distances(centers, start, middle[0], middle[1], middle[2], squared, start)
        nearer = simd.below(squared, start, best[count - 1])
        while nearer:
            value, place = squared[start + simd.lowest(nearer)], count - 1
            nearer &= nearer - 1
            while place > 0 and best[place - 1] > value:
                best[place] = best[place - 1]
                place -= 1
            if value < best[place]:
                best[place] = value
            nearer &= simd.below(squared, start, best[count - 1])
    return np.sqrt(best[count - 1])


@njit(**FAST)
def _candidates(middle, reach, centers, tokens, candidate):
    """The centers within `reach` of the middle, into `candidate`, in order; how many."""
    limit, found = np.float32(1.0001) * reach * reach, 0
    for start in range(0, centers.shape[1], LANES):
        within = simd.within(centers, start, middle[0], middle[1], middle[2], limit)
        while within:
            candidate[found] = start + simd.lowest(within)
            within &= within - 1
            found += candidate[found] < tokens
    return found


@njit(**FAST)
def _weigh(best, nearest, count, scale, gram, norm):
    """Turn squared distances of 16 points to their `count` nearest centers into the factors of the centers' scores."""
    for k in range(count * LANES):
        best[k] = np.float32(1) / (np.sqrt(best[k]) * scale + NEAREST)
    best[count * LANES :] = 0  # of one or two tokens
    norm[:] = 0
    if gram.shape[0]:
        for p in range(LANES):
            a, b, c = best[p], best[LANES + p], best[2 * LANES + p]
            i, j, k = nearest[p], nearest[LANES + p], nearest[2 * LANES + p]
            sides = a * b * gram[i, j] + a * c * gram[i, k] + b * c * gram[j, k]
            norm[p] = a * a * gram[i, i] + b * b * gram[j, j] + c * c * gram[k, k] + np.float32(2) * sides
    for p in range(LANES):
        total = best[p] + best[LANES + p] + best[2 * LANES + p]
        least = LEAST if gram.shape[0] else np.float32(1)
        norm[p] = np.float32(1) / np.sqrt(max(norm[p], least * total * total))
    for p in range(LANES):
        best[p] *= norm[p]
        best[LANES + p] *= norm[p]
        best[2 * LANES + p] *= norm[p]


@njit(**FAST)
def _blend_three(best, nearest, count, points, first, in_place, scores, values):
    """As _blend_own for points[first:first + count], over the centers nearest to them, into the rows of `values`."""
    words = values.shape[1]
    for p in range(count):
        row = np.int64(points[first + p]) if in_place else first + p
        a, b, c = best[p], best[LANES + p], best[2 * LANES + p]
        i, j, k = nearest[p], nearest[LANES + p], nearest[2 * LANES + p]
        if words >= LANES:
            for start in range(0, words - LANES + 1, LANES):
                simd.blend(scores, i, j, k, a, b, c, start, values, row)
            simd.blend(scores, i, j, k, a, b, c, words - LANES, values, row)
        else:
            for w in range(words):
                values[row, w] = a * scores[i, w] + b * scores[j, w] + c * scores[k, w]
