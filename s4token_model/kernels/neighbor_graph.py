"""The undirected graph of nearest neighbors."""

from __future__ import annotations

import numpy as np
from numba import njit

from s4token_model.kernels.parallel import parallel_for

FAST = {"cache": True, "nogil": True}


def edges_from_neighbors(neighbors: np.ndarray) -> np.ndarray:
    """Turn neighbor lists (H, k) into undirected edges (E, 2) int32, i < j, sorted, each once, no self links."""
    neighbors = np.asarray(neighbors, np.int32)
    kept, counts = np.empty_like(neighbors), np.empty(len(neighbors), np.int64)
    parallel_for(lambda a, b: _keep_first(a, b, neighbors, kept, counts), len(neighbors))
    return _sorted_edges(kept, counts)


@njit(**FAST)
def _keep_first(begin, end, neighbors, kept, counts):
    """Keep the entries of each row that are the first of their pair."""
    for i in range(begin, end):
        n = 0
        for a in range(neighbors.shape[1]):
            kept[i, n] = neighbors[i, a]
            n += _is_first(neighbors, i, a)
        counts[i] = n


@njit(**FAST, inline="always")
def _is_first(neighbors, i, a):
    """Whether entry a of row i is no self link, no repetition, and not a link from i > j that row j holds too."""
    j = neighbors[i, a]
    if i == j:
        return False
    for b in range(a):
        if neighbors[i, b] == j:
            return False
    if i < j:
        return True
    for b in range(neighbors.shape[1]):
        if neighbors[j, b] == i:
            return False
    return True


@njit(**FAST)
def _sorted_edges(neighbors, counts):
    """A counting sort by the lower end, then an insertion sort by the upper end."""
    start = np.zeros(len(neighbors) + 1, np.int64)
    for i in range(len(neighbors)):
        for a in range(counts[i]):
            start[min(i, neighbors[i, a]) + 1] += 1
    start = np.cumsum(start)
    cursor, edges = start[:-1].copy(), np.empty((start[-1], 2), np.int32)
    for i in range(len(neighbors)):
        for a in range(counts[i]):
            j = neighbors[i, a]
            low, high = min(i, j), max(i, j)
            slot = cursor[low]
            cursor[low] += 1
            edges[slot, 0] = low
            while slot > start[low] and edges[slot - 1, 1] > high:
                edges[slot, 1] = edges[slot - 1, 1]
                slot -= 1
            edges[slot, 1] = high
    return edges
