"""Superpoint-weighted farthest point sampling (Sec. 3.2, Eq. 2 and App. C.3 of the paper).

The paper prints the exponent as -gamma, which favors large superpoints; its text, its Fig. B and the limit gamma -> 1
say the opposite, so the exponent here is +gamma.
"""

from __future__ import annotations

import numpy as np

from s4token_model.config import SamplingConfig
from s4token_model.kernels import spatial_index
from s4token_model.kernels.fps import farthest_point_sampling
from s4token_model.kernels.spatial_index import MortonIndex


def sample(index: MortonIndex, superpoints: np.ndarray, config: SamplingConfig) -> np.ndarray:
    """Choose the token centers.

    i_1 ~ Multinomial(w), then i_t = argmax_i D_i * w_i^gamma, with w_i = 1 / n_{l_i}, normalized, n_l the number of
    points of superpoint l, and D_i the smallest squared distance to the points chosen so far; ties go to the lowest
    index. The same cloud and seed always give the same centers. Returns (N,) int32 indices from the index of the cloud
    and superpoints (H,); N < tokens if the cloud has fewer distinct candidate points.
    """
    if len(superpoints) == 0:
        return np.zeros(0, np.int32)
    # Weights: all points of a superpoint weigh the same, those of small superpoints nothing
    sizes = np.bincount(superpoints)
    candidate = sizes >= config.min_superpoint
    if not (candidate & (sizes > 0)).any():
        candidate[:] = True
    superpoint_weights = candidate / np.maximum(sizes, 1)
    weights = superpoint_weights[superpoints]
    total = weights.sum()
    scores = np.where(candidate, (superpoint_weights / total) ** config.gamma, 0).astype(np.float32)
    # The first center is drawn, the others follow
    weights /= total
    first = int(np.searchsorted(np.cumsum(weights), np.random.default_rng(config.seed).random(), side="right"))
    if first >= len(weights) or weights[first] == 0:  # the cumulative sum may end a rounding error below 1
        first = int(np.flatnonzero(weights)[-1])
    return farthest_point_sampling(index, scores[superpoints], first, config.tokens)


def farthest_points(xyz: np.ndarray, count: int) -> np.ndarray:
    """Plain farthest point sampling from index 0: (min(count, distinct points),) int32, ties to the lowest index."""
    return farthest_point_sampling(spatial_index.build(xyz), np.ones(len(xyz), np.float32), 0, count)
