"""Superpoint-weighted farthest point sampling (method: Sec. 3.2, Eq. 2 and C.3).

The paper prints the exponent as -gamma, which favours large superpoints; its text, its Fig. B and the limit gamma -> 1
say the opposite, so the exponent here is +gamma.
"""

from __future__ import annotations

import numpy as np
from numba import njit

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


@njit(cache=True, nogil=True)
def _weighted_fps(xyz, weights, first, count):
    chosen = np.empty(min(count, len(xyz)), np.int32)
    if len(chosen) == 0:
        return chosen
    squared = np.full(len(xyz), np.inf, np.float32)
    chosen[0] = last = first
    for t in range(1, len(chosen)):
        x, y, z = xyz[last, 0], xyz[last, 1], xyz[last, 2]
        best, farthest = np.float32(0.0), -1
        for i in range(len(xyz)):
            dx, dy, dz = xyz[i, 0] - x, xyz[i, 1] - y, xyz[i, 2] - z
            d = dx * dx + dy * dy + dz * dz
            if d < squared[i]:
                squared[i] = d
            score = squared[i] * weights[i]
            if score > best:
                best, farthest = score, i
        if farthest < 0:  # every candidate coincides with a chosen point
            return chosen[:t].copy()
        chosen[t] = last = farthest
    return chosen
