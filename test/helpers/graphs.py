"""Random graphs with features, and the connected parts of a partition of them."""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components


def inner_components(edges, labels) -> int:
    kept = edges[labels[edges[:, 0]] == labels[edges[:, 1]]]
    graph = coo_matrix((np.ones(len(kept)), (kept[:, 0], kept[:, 1])), shape=(len(labels), len(labels)))
    return connected_components(graph, directed=False)[0]


def random_graph(count: int, seed: int, extra: int = 6):
    rng = np.random.default_rng(seed)
    pairs = {tuple(sorted(rng.choice(count, 2, replace=False).tolist())) for _ in range(count + extra)}
    return rng.normal(size=(count, 3)).astype(np.float32), np.array(sorted(pairs), np.int32), rng
