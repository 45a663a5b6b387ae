"""The spatial index against brute force: all distances, ties included, on clouds of every kind."""

from __future__ import annotations

import numpy as np
import pytest

from s4token_model.kernels import edge_lists, spatial_index
from s4token_model.kernels.nearest_neighbors import nearest_neighbors


def cloud(kind: str, count: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    points = rng.random((count, 3))
    if kind == "grid":
        points = np.round(points * 6) / 4
    elif kind == "outlier":
        points[0] = -1e7
    elif kind == "line":
        points[:, 1:] = 3.0
    elif kind == "pile":  # more coincident points than are looked at together, and others near them
        points[: 3 * count // 4] = 0.5
    elif kind == "scales":
        points *= 10.0 ** rng.integers(-9, 4, (count, 1))
    return points.astype(np.float32)


def brute(xyz: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    difference = xyz[:, None] - xyz[None]
    squared = difference[..., 0] ** 2 + difference[..., 1] ** 2 + difference[..., 2] ** 2
    order = np.argsort(squared, axis=1, kind="stable")[:, :k]
    return order, np.take_along_axis(squared, order, axis=1)


@pytest.mark.parametrize("kind", ["random", "grid", "outlier", "line", "pile", "scales"])
@pytest.mark.parametrize(("count", "k"), [(1, 1), (2, 5), (15, 4), (17, 17), (333, 20), (1025, 9), (3000, 20)])
def test_the_nearest_of_all_points_are_those_of_brute_force(kind, count, k):
    xyz = cloud(kind, count, seed=count)
    found = nearest_neighbors(spatial_index.build(xyz), k)
    expected, squared = brute(xyz, k)
    assert found.dtype == np.int32 and found.shape == expected.shape
    difference = xyz[found] - xyz[:, None]
    got = difference[..., 0] ** 2 + difference[..., 1] ** 2 + difference[..., 2] ** 2
    np.testing.assert_array_equal(got, squared)
    distinct = squared[:, -1] > 0  # among more than k coincident points any may be taken
    np.testing.assert_array_equal(found[distinct], expected[distinct])


def test_coincident_points_cost_no_more_than_others():
    xyz = np.repeat(cloud("random", 3, 0), 40_000, axis=0)
    found = nearest_neighbors(spatial_index.build(xyz), 5)
    np.testing.assert_array_equal(xyz[found], np.repeat(xyz[:, None], 5, axis=1))


def test_edges_against_a_set():
    rng = np.random.default_rng(3)
    neighbors = rng.integers(0, 40, (40, 6))
    expected = {(min(i, j), max(i, j)) for i, row in enumerate(neighbors) for j in row if i != j}
    edges = edge_lists.from_neighbors(neighbors)
    assert edges.dtype == np.int32 and len(edges) == len(expected)
    assert [tuple(edge) for edge in edges.tolist()] == sorted(expected)


def test_the_graph_survives_more_than_46341_points():  # 46341 ** 2 exceeds 32 bits
    neighbors = np.array([[0]] * 70000, np.int32)
    edges = edge_lists.from_neighbors(neighbors)
    assert len(edges) == 69999 and edges.max() == 69999 and not edges[:, 0].any()
