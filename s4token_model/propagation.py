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

from s4token_model.blocks import in_threads

CHUNK = 65536
LANES = 16
FAR = np.float32(3e38)
FALLBACK = 3  # centroids taken for a point whose superpoint holds none
FAST = {"cache": True, "nogil": True, "fastmath": {"reassoc", "contract", "nsz", "arcp"}}


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
    order = grouped(superpoints, largest + 1)  # neighbours in this order read the same rows of the Gram matrix
    covered = (starts[1:] > starts[:-1])[superpoints[order]]
    columns, radius = _lanes(centers), np.float32(anchors.radius)
    for points in _chunks(order[covered]):
        values = np.empty((len(points), scores.shape[1]), np.float32)
        rows = (xyz[points].astype(np.float32), superpoints[points], starts, columns, radius, scores, gram, values)
        in_threads(lambda a, b, rows=rows: _score_own(a, b, *rows), len(points))  # type: ignore[misc]
        yield points, values
    for points in _chunks(order[~covered]):
        values = np.empty((len(points), scores.shape[1]), np.float32)
        rows = (xyz[points].astype(np.float32), columns, radius, scores, gram, min(FALLBACK, len(centers)), values)
        in_threads(lambda a, b, rows=rows: _score_nearest(a, b, *rows), len(points))  # type: ignore[misc]
        yield points, values


def _lanes(centers: np.ndarray) -> np.ndarray:
    """Coordinates (3, N rounded up to whole lanes) float32 of the centers, filled up with far ones."""
    columns = np.full((3, -(-len(centers) // LANES) * LANES), 1e15, np.float32)
    columns[:, : len(centers)] = centers.T
    return columns


def _chunks(points: np.ndarray) -> Iterator[np.ndarray]:
    return (points[begin : begin + CHUNK] for begin in range(0, len(points), CHUNK))


@njit(cache=True, nogil=True)
def grouped(superpoints, count):
    """Indices (H,) int32 of the points sorted by superpoint 0..count-1, by a stable counting sort."""
    cursor = np.zeros(count + 1, np.int64)
    for i in range(len(superpoints)):
        cursor[superpoints[i] + 1] += 1
    cursor = np.cumsum(cursor)
    order = np.empty(len(superpoints), np.int32)
    for i in range(len(superpoints)):
        order[cursor[superpoints[i]]] = i
        cursor[superpoints[i]] += 1
    return order


@njit(**FAST)
def _score_own(begin, end, xyz, superpoints, starts, centers, radius, scores, gram, values):
    """values[begin:end] = sum_k w_ik scores_k over the tokens of each point's superpoint, one stretch of the sorted
    tokens; over ||f_i|| where a Gram matrix is given."""
    room = np.empty(centers.shape[1], np.float32)
    for i in range(begin, end):
        first, stop = starts[superpoints[i]], starts[superpoints[i] + 1]
        # Slices, so that every inner loop runs over contiguous memory from 0 and becomes vector instructions.
        weight, own = room[: stop - first], scores[first:stop]
        _weigh(xyz[i], centers[0, first:stop], centers[1, first:stop], centers[2, first:stop], radius, weight)
        squared = np.float32(0)
        if gram.shape[0]:
            for k in range(len(weight)):
                squared += weight[k] * _inner(weight, gram[first + k, first:stop])
        _blend(weight, own, squared, gram.shape[0] > 0, values[i])


@njit(**FAST)
def _score_nearest(begin, end, xyz, centers, radius, scores, gram, count, values):
    """As _score_own, over the `count` tokens nearest to each point; of equally near ones the first."""
    weight, near, own = np.empty(count, np.float32), np.empty((3, count), np.float32), np.empty_like(scores[:count])
    best, nearest = np.empty(count, np.float32), np.empty(count, np.int64)
    squared = np.empty(centers.shape[1], np.float32)
    for i in range(begin, end):
        _search(xyz[i, 0], xyz[i, 1], xyz[i, 2], centers, squared, best, nearest)
        for k in range(count):
            near[:, k] = centers[:, nearest[k]]
            own[k] = scores[nearest[k]]
        _weigh(xyz[i], near[0], near[1], near[2], radius, weight)
        norm = np.float32(0)
        if gram.shape[0]:
            for k in range(count):
                for j in range(count):
                    norm += weight[k] * weight[j] * gram[nearest[k], nearest[j]]
        _blend(weight, own, norm, gram.shape[0] > 0, values[i])


@njit(cache=True, nogil=True, fastmath=True)
def _search(x, y, z, centers, squared, best, nearest):
    """The nearest columns of `centers` and their squared distances, nearest first; whole lanes are passed over by
    their least distance. Nothing here is infinite, so that the compiler may turn every loop into vector instructions.
    """
    best[:] = FAR
    last = len(best) - 1
    for j in range(centers.shape[1]):
        dx, dy, dz = centers[0, j] - x, centers[1, j] - y, centers[2, j] - z
        squared[j] = dx * dx + dy * dy + dz * dz
    for lane in range(len(squared) // LANES):
        start = lane * LANES
        least = squared[start]
        for j in range(1, LANES):
            least = min(least, squared[start + j])
        if least >= best[last]:
            continue
        for j in range(start, start + LANES):
            if squared[j] < best[last]:
                place = last
                while place > 0 and best[place - 1] > squared[j]:
                    best[place], nearest[place] = best[place - 1], nearest[place - 1]
                    place -= 1
                best[place], nearest[place] = squared[j], j


@njit(**FAST, inline="always")
def _weigh(point, x, y, z, radius, weight):
    """Normalised inverse distances of a point to centroids, into `weight`."""
    total = np.float32(0)
    for k in range(len(weight)):
        dx, dy, dz = point[0] - x[k], point[1] - y[k], point[2] - z[k]
        inverse = np.float32(1) / (np.sqrt(dx * dx + dy * dy + dz * dz) / radius + np.float32(1e-4))
        weight[k] = inverse
        total += inverse
    scale = np.float32(1) / total
    for k in range(len(weight)):
        weight[k] *= scale


@njit(**FAST, inline="always")
def _inner(left, right):
    total = np.float32(0)
    for k in range(len(left)):
        total += left[k] * right[k]
    return total


@njit(**FAST, inline="always")
def _blend(weight, scores, squared, divide, out):
    """out = sum_k weight_k scores_k, over the root of `squared` where asked to `divide`."""
    out[:] = 0
    for k in range(len(weight)):
        share, row = weight[k], scores[k]
        for c in range(len(out)):
            out[c] += share * row[c]
    if divide:
        scale = np.float32(1) / np.sqrt(max(squared, np.float32(1e-12)))
        for c in range(len(out)):
            out[c] *= scale
