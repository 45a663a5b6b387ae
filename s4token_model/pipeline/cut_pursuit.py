"""The l0 partition by the optional package cut-pursuit-py, the alternative to our own solver (App. A.1 of the paper).

Cut pursuit has no minimum size and may return regions that are not connected; both are mended here.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components


def cut_pursuit_partition(
    features: np.ndarray, edges: np.ndarray, weights: np.ndarray, regularization: float, min_points: int = 1
) -> np.ndarray:
    """Partition a graph as `l0_partition` does, with the same arguments."""
    if len(edges) == 0:
        return np.arange(len(features), dtype=np.int32)
    labels = components(cut_pursuit(features, edges, weights * np.float32(regularization)), edges)
    return merge_small(labels, features, edges, regularization, min_points)


def cut_pursuit(features: np.ndarray, edges: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Run cut-pursuit-py; lambda must already be in the weights, since the solver ignores its own argument."""
    try:
        from cut_pursuit_py import perform_cut_pursuit
    except ImportError as error:
        raise ValueError(
            "superpoints.solver=cut_pursuit needs the package cut-pursuit-py: "
            'pip install "s4token_ros[cut-pursuit]" or pip install cut-pursuit-py (x86_64 only), '
            "or use superpoints.solver=merge"
        ) from error
    source, target = (np.ascontiguousarray(edges[:, side], np.uint32) for side in (0, 1))
    centered = np.ascontiguousarray(features - features.mean(axis=0), np.float32)
    labels = perform_cut_pursuit(1.0, features.shape[1], centered, weights.astype(np.float32), source, target, False)
    return np.asarray(labels).astype(np.int32)


def components(labels: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Split every label into the connected components it has in the graph; ids in order of first appearance."""
    inner = edges[labels[edges[:, 0]] == labels[edges[:, 1]]]
    return _connected(inner[:, 0], inner[:, 1], len(labels))


def merge_small(
    labels: np.ndarray, features: np.ndarray, edges: np.ndarray, regularization: float, min_points: int
) -> np.ndarray:
    """Merge regions of fewer than `min_points` into the neighbor that raises E least, until none with one is left."""
    while True:
        sizes = np.bincount(labels).astype(np.float64)
        small = sizes < min_points
        pairs, cut = _region_edges(labels, edges, len(sizes))
        pairs, cut = (x[small[pairs].any(axis=1)] for x in (pairs, cut))
        if len(pairs) == 0:
            return labels
        # How much E rises when the two regions of a pair become one
        means = np.stack([np.bincount(labels, f) for f in features.T.astype(np.float64)], axis=1) / sizes[:, None]
        left, right = pairs.T
        distance = ((means[left] - means[right]) ** 2).sum(axis=1)
        rise = sizes[left] * sizes[right] / (sizes[left] + sizes[right]) * distance - regularization * cut
        # The best neighbor of every small region
        source, target, rise = np.r_[left, right], np.r_[right, left], np.r_[rise, rise]
        order = np.lexsort((target, rise, source))
        source, target = source[order], target[order]
        best = np.r_[True, source[1:] != source[:-1]] & small[source]
        labels = _connected(source[best], target[best], len(sizes))[labels]


def _region_edges(labels: np.ndarray, edges: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return pairs (P, 2) of different regions that touch and the number of edges between them (P,)."""
    ends = labels[edges].astype(np.int64)
    low, high = ends.min(axis=1), ends.max(axis=1)
    keys, cut = np.unique((low * count + high)[low != high], return_counts=True)
    return np.stack([keys // count, keys % count], axis=1), cut


def _connected(source: np.ndarray, target: np.ndarray, count: int) -> np.ndarray:
    graph = coo_matrix((np.ones(len(source), np.int8), (source, target)), shape=(count, count))
    return connected_components(graph, directed=False)[1].astype(np.int32)
