"""The undirected neighbor graph against python sets."""

from __future__ import annotations

import numpy as np

from s4token_model.kernels.neighbor_graph import edges_from_neighbors


def test_edges_against_a_set():
    rng = np.random.default_rng(3)
    neighbors = rng.integers(0, 40, (40, 6))
    expected = {(min(i, j), max(i, j)) for i, row in enumerate(neighbors) for j in row if i != j}
    edges = edges_from_neighbors(neighbors)
    assert edges.dtype == np.int32 and len(edges) == len(expected)
    assert [tuple(edge) for edge in edges.tolist()] == sorted(expected)


def test_the_graph_survives_more_than_46341_points():  # 46341 ** 2 exceeds 32 bits
    neighbors = np.array([[0]] * 70000, np.int32)
    edges = edges_from_neighbors(neighbors)
    assert len(edges) == 69999 and edges.max() == 69999 and not edges[:, 0].any()
