"""Propagation of token scores to points (Eq. 4 of the paper), see pipeline/propagation.py for the definition."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from s4token_model.kernels.kernel_cache import njit
from s4token_model.kernels.parallel import parallel_for

RUN = 16  # points of one superpoint that share the search for tokens
FALLBACK = 3  # nearest tokens, for points whose superpoint holds none
FAR = np.float32(3e38)
EPSILON = np.float32(1e-4)  # added to distances in units of the radius
MIN_NORM = np.float32(1e-12)  # squared norm of a point's feature, as a fraction of that of its weights
FAST = {"nogil": True, "error_model": "numpy", "fastmath": {"reassoc", "contract", "nsz", "arcp"}}
INLINE = {**FAST, "inline": "always"}


class TokenTable(NamedTuple):
    """N tokens sorted by superpoint."""

    starts: np.ndarray  # (S + 1,) int64, the tokens of superpoint s are starts[s]..starts[s + 1] - 1
    centers: np.ndarray  # (3, N) float32
    scale: np.float32  # 1 / r, float32
    scores: np.ndarray  # (N, C) float32
    gram: np.ndarray  # (N, N) float32, inner products of the token features; (0, 0) to leave the sums undivided


def propagate_block(points: np.ndarray, xyz: np.ndarray, superpoints: np.ndarray, tokens: TokenTable) -> np.ndarray:
    """Return the scores (h, C) float32 of `points` (h,), those of a superpoint side by side, from at least one token.

    xyz (H, 3) float32 and superpoints (H,) int32 are those of all points.
    """
    values = np.empty((len(points), tokens.scores.shape[1]), np.float32)
    parallel_for(lambda a, b: _propagate(a, b, points, xyz, superpoints, tokens, values), len(points))
    return values


def own_weights(xyz: np.ndarray, tokens: TokenTable, own: slice) -> np.ndarray:
    """Return the weights (h, n) float32, not yet divided, of the n tokens `own` at points (h, 3) float32."""
    weights = np.empty((len(xyz), own.stop - own.start), np.float32)
    parallel_for(lambda a, b: _fill_weights(a, b, xyz, own.start, tokens.centers, tokens.scale, weights), len(xyz))
    return weights


def weight_sums(points: np.ndarray, xyz: np.ndarray, superpoints: np.ndarray, tokens: TokenTable) -> np.ndarray:
    """Return (S, N) float32, the weight of each token in the sum of the scores of each superpoint's points.

    Arguments as in `propagate_block`: superpoint by superpoint, the rows of its `values` sum to sums @ tokens.scores.
    """
    sums = np.zeros((len(tokens.starts) - 1, tokens.centers.shape[1]), np.float32)
    starts = np.append(np.flatnonzero(np.diff(superpoints[points], prepend=-1)), len(points))

    def part(begin: int, end: int) -> None:  # the superpoints that start in it, since threads must not share a row
        first, last = starts[np.searchsorted(starts, (begin, end))]
        _sum_weights(first, last, points, xyz, superpoints, tokens, sums)

    parallel_for(part, len(points))
    return sums


@njit(**FAST, inline="always")
def _run(points, superpoints, first, end):
    """The superpoint of point `first`, and where a run of up to 16 points of it ends."""
    label, stop = superpoints[points[first]], first + 1
    while stop < min(end, first + RUN) and superpoints[points[stop]] == label:
        stop += 1
    return label, stop


@njit(**FAST)
def _sum_weights(begin, end, points, xyz, superpoints, tokens, sums):
    """Add the weights of the points begin..end-1 to the rows of their superpoints; loops as in `_propagate`."""
    starts, centers, scale, _, gram = tokens
    count = centers.shape[1]
    weight, squared = np.empty(max(count, FALLBACK), np.float32), np.empty(count, np.float32)
    candidates, nearest = np.empty(count + 1, np.int32), np.empty(FALLBACK, np.int32)
    first = begin
    while first < end:
        label, stop = _run(points, superpoints, first, end)
        own, found, row = starts[label], starts[label + 1] - starts[label], sums[label]
        if found == 0:
            near = _find_candidates(points, first, stop, xyz, centers, squared, candidates)
        for i in points[first:stop]:
            if found > 0:
                _own_weights((xyz[i, 0], xyz[i, 1], xyz[i, 2]), own, found, centers, scale, weight)
                factor = _inverse_norm(weight, found, own, gram)
                for k in range(found):
                    row[own + k] += weight[k] * factor
            else:
                _nearest_three((xyz[i, 0], xyz[i, 1], xyz[i, 2]), centers, candidates, near, weight, nearest)
                _three_weights(weight, scale)
                factor = _inverse_norm_of_three(weight, nearest, gram)
                for k in range(FALLBACK):
                    row[nearest[k]] += weight[k] * factor
        first = stop


@njit(**FAST)
def _propagate(begin, end, points, xyz, superpoints, tokens, values):
    """Fill the rows begin..end-1 of `values`, a run of up to 16 points of one superpoint at a time."""
    starts, centers, scale, scores, gram = tokens
    count = centers.shape[1]
    weight, squared = np.empty(max(count, FALLBACK), np.float32), np.empty(count, np.float32)
    candidates, nearest = np.empty(count + 1, np.int32), np.empty(FALLBACK, np.int32)
    first = begin
    while first < end:
        label, stop = _run(points, superpoints, first, end)
        own, found = starts[label], starts[label + 1] - starts[label]
        if found == 0:
            near = _find_candidates(points, first, stop, xyz, centers, squared, candidates)
        for row in range(first, stop):
            x, y, z = xyz[points[row], 0], xyz[points[row], 1], xyz[points[row], 2]
            if found > 0:
                _own_weights((x, y, z), own, found, centers, scale, weight)
                factor = _inverse_norm(weight, found, own, gram)
                _blend_own(weight, found, own, factor, scores, values, row)
            else:
                _nearest_three((x, y, z), centers, candidates, near, weight, nearest)
                _three_weights(weight, scale)
                _blend_three(weight, nearest, gram, scores, values, row)
        first = stop


@njit(**FAST)
def _fill_weights(begin, end, xyz, own, centers, scale, weights):
    for i in range(begin, end):
        _own_weights((xyz[i, 0], xyz[i, 1], xyz[i, 2]), own, weights.shape[1], centers, scale, weights[i])


@njit(**INLINE)
def _own_weights(point, own, count, centers, scale, weight):
    """Write the weights of the tokens own..own+count-1 at a point."""
    x, y, z = point
    for k in range(count):
        dx, dy, dz = centers[0, own + k] - x, centers[1, own + k] - y, centers[2, own + k] - z
        weight[k] = 1 / (np.sqrt(dx * dx + dy * dy + dz * dz) * scale + EPSILON)


@njit(**INLINE)
def _three_weights(weight, scale):
    """Turn the squared distances of the three nearest tokens into weights, 0 if there are fewer."""
    for k in range(FALLBACK):
        weight[k] = 1 / (np.sqrt(weight[k]) * scale + EPSILON) if weight[k] < FAR else np.float32(0)


@njit(**INLINE)
def _inverse_norm(weight, count, own, gram):
    """1 / sqrt(w^T G w) of the tokens own..own+count-1, or 1 / sum w without a Gram matrix."""
    total, norm = np.float32(0), np.float32(0)
    for k in range(count):
        total += weight[k]
    if gram.shape[0] == 0:
        return 1 / total
    for k in range(count):
        row = np.float32(0)
        for j in range(k):
            row += gram[own + k, own + j] * weight[j]
        norm += weight[k] * (2 * row + gram[own + k, own + k] * weight[k])
    return 1 / np.sqrt(max(norm, MIN_NORM * total * total))


@njit(**INLINE)
def _blend_own(weight, count, own, factor, scores, values, row):
    """values[row] = factor * sum_k weight_k scores_k."""
    for c in range(values.shape[1]):
        values[row, c] = weight[0] * factor * scores[own, c]
    for k in range(1, count):
        w = weight[k] * factor
        for c in range(values.shape[1]):
            values[row, c] += w * scores[own + k, c]


@njit(**INLINE)
def _find_candidates(points, begin, end, xyz, centers, squared, candidates):
    """Write the tokens that can be among the three nearest of any of the points to `candidates`, in order; how many.

    If three tokens are within d of the center of the points' box, the three nearest to a point, which is within half
    the diagonal h of that center, are within d + h of the point, hence within d + 2 h of the center.
    """
    x0 = x1 = xyz[points[begin], 0]
    y0 = y1 = xyz[points[begin], 1]
    z0 = z1 = xyz[points[begin], 2]
    for row in range(begin + 1, end):
        i = points[row]
        x0, y0, z0 = min(x0, xyz[i, 0]), min(y0, xyz[i, 1]), min(z0, xyz[i, 2])
        x1, y1, z1 = max(x1, xyz[i, 0]), max(y1, xyz[i, 1]), max(z1, xyz[i, 2])
    x, y, z = np.float32(0.5) * (x0 + x1), np.float32(0.5) * (y0 + y1), np.float32(0.5) * (z0 + z1)
    half = np.float32(0.5) * np.sqrt((x1 - x0) ** 2 + (y1 - y0) ** 2 + (z1 - z0) ** 2)
    first, second, third = FAR, FAR, FAR
    for k in range(len(squared)):
        dx, dy, dz = centers[0, k] - x, centers[1, k] - y, centers[2, k] - z
        squared[k] = dx * dx + dy * dy + dz * dz
    for k in range(len(squared)):
        if squared[k] < third:
            third = max(second, squared[k])
            second, first = min(second, max(first, squared[k])), min(first, squared[k])
    reach = np.sqrt(third) + 2 * half
    limit, found = np.float32(1.0001) * reach * reach, 0  # rounding up
    for k in range(len(squared)):
        candidates[found] = k
        found += squared[k] <= limit
    return found


@njit(**INLINE)
def _nearest_three(point, centers, candidates, found, squared, nearest):
    """Write the three nearest candidates and their squared distances (FAR if there are fewer), ties in order."""
    x, y, z = point
    for k in range(FALLBACK):
        squared[k], nearest[k] = FAR, 0
    for c in range(found):
        candidate = candidates[c]
        dx, dy, dz = centers[0, candidate] - x, centers[1, candidate] - y, centers[2, candidate] - z
        distance, slot = dx * dx + dy * dy + dz * dz, FALLBACK - 1
        if distance < squared[slot]:
            while slot > 0 and squared[slot - 1] > distance:
                squared[slot], nearest[slot] = squared[slot - 1], nearest[slot - 1]
                slot -= 1
            squared[slot], nearest[slot] = distance, candidate


@njit(**INLINE)
def _inverse_norm_of_three(weight, nearest, gram):
    """As _inverse_norm, for three tokens anywhere in the table."""
    a, b, c, i, j, k = weight[0], weight[1], weight[2], nearest[0], nearest[1], nearest[2]
    total = a + b + c
    norm = total * total
    if gram.shape[0]:
        sides = a * b * gram[i, j] + a * c * gram[i, k] + b * c * gram[j, k]
        norm = a * a * gram[i, i] + b * b * gram[j, j] + c * c * gram[k, k] + 2 * sides
    return 1 / np.sqrt(max(norm, MIN_NORM * total * total))


@njit(**INLINE)
def _blend_three(weight, nearest, gram, scores, values, row):
    """As _blend_own, for three tokens anywhere in the table."""
    factor, i, j, k = _inverse_norm_of_three(weight, nearest, gram), nearest[0], nearest[1], nearest[2]
    a, b, c = weight[0] * factor, weight[1] * factor, weight[2] * factor
    for w in range(values.shape[1]):
        values[row, w] = a * scores[i, w] + b * scores[j, w] + c * scores[k, w]
