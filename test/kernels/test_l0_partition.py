"""The l0 partition: its invariants on random graphs, exact optima on tiny ones, degenerate clouds."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from s4token_model.kernels.l0_partition import l0_energy, l0_partition


def knn_edges(points: np.ndarray, k: int) -> np.ndarray:
    neighbor = cKDTree(points).query(points, k=k + 1)[1][:, 1:]
    i = np.repeat(np.arange(len(points)), k)
    pairs = np.sort(np.stack([i, neighbor.ravel()], axis=1), axis=1)
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    return np.unique(pairs, axis=0).astype(np.int32)


def blobs(count: int, width: int, noise: float, seed: int = 0):
    """A plane of points in 4 x 4 cells of constant feature plus noise: features, edges, weights, cell of each point."""
    rng = np.random.default_rng(seed)
    points = rng.random((count, 2))
    cell = (points[:, 0] * 4).astype(int) * 4 + (points[:, 1] * 4).astype(int)
    features = rng.normal(size=(16, width))[cell] + noise * rng.normal(size=(count, width))
    edges = knn_edges(points, 8)
    return features.astype(np.float32), edges, np.ones(len(edges), np.float32), cell


def graph_components(count: int, edges: np.ndarray, labels: np.ndarray) -> int:
    """Connected components of the graph without its cut edges."""
    kept = edges[labels[edges[:, 0]] == labels[edges[:, 1]]]
    adjacency = coo_matrix((np.ones(len(kept)), (kept[:, 0], kept[:, 1])), shape=(count, count))
    return connected_components(adjacency, directed=False)[0]


def merge_gains(features, edges, weights, regularization, labels) -> np.ndarray:
    """How much E falls when two touching regions become one, for every such pair."""
    size = np.bincount(labels).astype(float)
    mean = np.stack([np.bincount(labels, column) for column in features.T.astype(float)], axis=1) / size[:, None]
    ends = np.sort(labels[edges], axis=1)
    inner = ends[:, 0] == ends[:, 1]
    pairs, index = np.unique(ends[~inner], axis=0, return_inverse=True)
    cut = np.bincount(index.ravel(), weights[~inner], minlength=len(pairs))
    a, b = pairs.T
    return regularization * cut - size[a] * size[b] / (size[a] + size[b]) * ((mean[a] - mean[b]) ** 2).sum(axis=1)


def check_labels(labels: np.ndarray, count: int, edges: np.ndarray) -> None:
    assert labels.shape == (count,) and labels.dtype == np.int32
    first = np.unique(labels, return_index=True)
    assert np.array_equal(first[0], np.arange(labels.max() + 1))
    assert np.all(np.diff(first[1]) > 0), "labels are numbered by first appearance"
    assert graph_components(count, edges, labels) == labels.max() + 1, "every region is connected"


@pytest.mark.parametrize("width", [1, 3, 8, 9, 17])
@pytest.mark.parametrize("regularization", [0.01, 0.3, 5.0])
def test_regions_are_connected_and_no_merge_lowers_the_energy(width, regularization):
    features, edges, weights, _ = blobs(600, width, 0.3, seed=width)
    labels = l0_partition(features, edges, weights, regularization)
    check_labels(labels, len(features), edges)
    reached = l0_energy(features, edges, weights, regularization, labels)
    assert reached <= l0_energy(features, edges, weights, regularization, np.arange(len(features)))
    assert merge_gains(features, edges, weights, regularization, labels).max(initial=0) <= 1e-3


def test_clear_regions_are_found():
    features, edges, weights, cell = blobs(3000, 5, 0.02)
    labels = l0_partition(features, edges, weights, 0.1)
    assert len(np.unique(labels * 16 + cell)) == labels.max() + 1, "no region spans two cells"
    assert labels.max() + 1 <= 18, "cells stay whole, up to points the graph barely links"
    assert l0_energy(features, edges, weights, 0.1, labels) <= l0_energy(features, edges, weights, 0.1, cell)


def partitions(count: int):
    """All set partitions as restricted growth strings."""
    for code in itertools.product(*(range(i + 1) for i in range(count))):
        if all(c <= max(code[:i], default=-1) + 1 for i, c in enumerate(code)):
            yield np.array(code)


def test_close_to_the_global_optimum_of_tiny_graphs():
    every = list(partitions(7))
    ratios = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        points, features = rng.random((7, 2)), rng.normal(size=(7, 2)).astype(np.float32)
        edges = knn_edges(points, 3)
        weights = rng.uniform(0.5, 1.5, len(edges)).astype(np.float32)
        best = min(l0_energy(features, edges, weights, 0.5, labels) for labels in every)
        labels = l0_partition(features, edges, weights, 0.5)
        ratios.append(l0_energy(features, edges, weights, 0.5, labels) / best)
    assert min(ratios) >= 1 - 1e-6
    assert np.mean(ratios) < 1.05


def test_energy_by_hand():
    features = np.array([[0.0], [2.0], [5.0]])
    edges = np.array([[0, 1], [1, 2]])
    assert l0_energy(features, edges, np.array([1.0, 3.0]), 0.5, np.array([0, 0, 1])) == pytest.approx(2 + 1.5)
    assert l0_energy(np.zeros((0, 2)), np.zeros((0, 2), int), np.zeros(0), 1.0, np.zeros(0, int)) == 0


@pytest.mark.parametrize("min_points", [2, 10, 50])
def test_tiny_regions_join_a_neighbor(min_points):
    features, edges, weights, _ = blobs(1500, 4, 0.5)
    labels = l0_partition(features, edges, weights, 0.05, min_points)
    check_labels(labels, len(features), edges)
    assert np.bincount(labels).min() >= min_points
    assert np.bincount(l0_partition(features, edges, weights, 0.05)).min() < min_points


def test_the_neighbor_that_costs_least_takes_the_tiny_region():
    features = np.array([[0.0]] * 4 + [[3.0]] + [[5.0]] * 4, np.float32)
    edges = np.array([[i, i + 1] for i in range(8)], np.int32)
    labels = l0_partition(features, edges, np.ones(8, np.float32), 0.1, min_points=2)
    assert labels.tolist() == [0] * 4 + [1] * 5


def test_the_same_input_gives_the_same_labels():
    features, edges, weights, _ = blobs(2000, 6, 0.4)
    once = l0_partition(features, edges, weights, 0.2, 5)
    l0_partition(features[::-1].copy(), edges, weights, 0.7)
    assert np.array_equal(once, l0_partition(features.copy(), edges.astype(np.int64), weights, 0.2, 5))


@pytest.mark.parametrize("scale", [1e-3, 1e3])
def test_scaling_features_and_regularization_together_changes_nothing(scale):
    features, edges, weights, _ = blobs(1000, 4, 0.3)
    labels = l0_partition(features, edges, weights, 0.25)
    scaled = l0_partition(features * np.float32(scale), edges, weights, 0.25 * scale**2)
    ratio = l0_energy(features, edges, weights, 0.25, scaled) / l0_energy(features, edges, weights, 0.25, labels)
    assert abs(ratio - 1) < 0.01


def test_an_offset_of_the_features_changes_little():
    features, edges, weights, _ = blobs(1000, 4, 0.3)
    reached = l0_energy(features, edges, weights, 0.25, l0_partition(features, edges, weights, 0.25))
    moved = l0_partition(features + np.float32(100), edges, weights, 0.25)
    assert l0_energy(features, edges, weights, 0.25, moved) < 1.02 * reached


@pytest.mark.parametrize("min_points", [1, 10])
def test_degenerate_graphs(min_points):
    none, no_weights = np.zeros((0, 2), np.int32), np.zeros(0, np.float32)
    assert l0_partition(np.zeros((0, 3), np.float32), none, no_weights, 1.0, min_points).shape == (0,)
    assert l0_partition(np.ones((1, 3), np.float32), none, no_weights, 1.0, min_points).tolist() == [0]
    assert l0_partition(np.ones((4, 3), np.float32), none, no_weights, 1.0, min_points).tolist() == [0, 1, 2, 3]
    pair = np.array([[1, 2]], np.int32)
    isolated = l0_partition(np.ones((4, 3), np.float32), pair, np.ones(1, np.float32), 1.0, min_points)
    assert isolated.tolist() == [0, 1, 1, 2]


@pytest.mark.parametrize("count", [2, 1000, 20001])
def test_equal_points_become_one_region_per_connected_part(count):
    chain = np.stack([np.arange(count - 1), np.arange(1, count)], axis=1).astype(np.int32)
    star = np.stack([np.zeros(count - 1), np.arange(1, count)], axis=1).astype(np.int32)
    for edges in (chain, star):
        labels = l0_partition(np.full((count, 3), 7.5, np.float32), edges, np.ones(count - 1, np.float32), 0.3)
        assert labels.max() == 0


def test_without_regularization_or_weight_every_point_stays_alone():
    features, edges, weights, _ = blobs(300, 3, 0.3)
    assert l0_partition(features, edges, weights, 0.0).max() == 299
    assert l0_partition(features, edges, weights * 0, 1.0).max() == 299


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"features": np.array([[0.0], [np.nan]], np.float32)}, "point 1 are not finite"),
        ({"features": np.zeros(2, np.float32)}, "shape \\(H, F\\)"),
        ({"edges": np.array([[0, 2]], np.int32)}, "0 <= i < j < 2"),
        ({"edges": np.array([[1, 0]], np.int32)}, "0 <= i < j < 2"),
        ({"edges": np.array([[0, 1, 1]], np.int32)}, "shape \\(E, 2\\)"),
        ({"weights": np.array([-1.0], np.float32)}, "weights must be finite and >= 0"),
        ({"weights": np.zeros(3, np.float32)}, "one per edge"),
        ({"regularization": -0.5}, "regularization must be finite and >= 0, got -0.5"),
        ({"regularization": float("nan")}, "regularization must be finite"),
        ({"min_points": 0}, "min_points must be at least 1"),
    ],
)
def test_wrong_input_is_refused(change, message):
    arguments = {
        "features": np.zeros((2, 1), np.float32),
        "edges": np.array([[0, 1]], np.int32),
        "weights": np.ones(1, np.float32),
        "regularization": 1.0,
        "min_points": 1,
    }
    with pytest.raises(ValueError, match=message):
        l0_partition(**{**arguments, **change})


def test_energy_is_below_cut_pursuit():
    cut_pursuit = pytest.importorskip("cut_pursuit_py").perform_cut_pursuit
    features, edges, weights, _ = blobs(4000, 6, 0.35)
    for regularization in (0.05, 0.2, 0.8):
        ends = edges.astype(np.uint32)
        theirs = cut_pursuit(1.0, 6, features, weights * np.float32(regularization), ends[:, 0], ends[:, 1], False)
        ours = l0_partition(features, edges, weights, regularization)
        reference = l0_energy(features, edges, weights, regularization, np.asarray(theirs).astype(np.int64))
        assert l0_energy(features, edges, weights, regularization, ours) <= 1.01 * reference
