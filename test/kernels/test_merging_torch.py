"""The l0 partition on whole tensors against the compiled solver, on CPU tensors."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from s4token_model.config import SuperpointConfig
from s4token_model.kernels import l0_partition, merging_torch
from s4token_model.pipeline import superpoints


@pytest.fixture(autouse=True)
def one_thread():
    """Many small operations: threads only wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def blobs(count: int, width: int, noise: float, seed: int = 0):
    """A plane of points in 4 x 4 cells of constant feature plus noise: features, edges and their weights."""
    rng = np.random.default_rng(seed)
    points = rng.random((count, 2))
    cell = (points[:, 0] * 4).astype(int) * 4 + (points[:, 1] * 4).astype(int)
    features = rng.normal(size=(16, width))[cell] + noise * rng.normal(size=(count, width))
    near = cKDTree(points).query(points, k=9)[1][:, 1:]
    pairs = np.sort(np.stack([np.repeat(np.arange(count), 8), near.ravel()], axis=1), axis=1)
    edges = np.unique(pairs, axis=0).astype(np.int32)
    return features.astype(np.float32), edges, np.ones(len(edges), np.float32)


def solve(features, edges, weights, strength, least=1) -> np.ndarray:
    return merging_torch.l0_partition(*map(torch.from_numpy, (features, edges, weights)), strength, least).numpy()


def check(labels: np.ndarray, edges: np.ndarray) -> None:
    values, first = np.unique(labels, return_index=True)
    assert np.array_equal(values, np.arange(labels.max() + 1)) and np.all(np.diff(first) > 0)
    kept = edges[labels[edges[:, 0]] == labels[edges[:, 1]]]
    graph = coo_matrix((np.ones(len(kept)), (kept[:, 0], kept[:, 1])), shape=(len(labels),) * 2)
    assert connected_components(graph, directed=False)[0] == labels.max() + 1


@pytest.mark.parametrize(("width", "noise"), [(3, 0.3), (6, 0.35), (5, 0.02)])
@pytest.mark.parametrize("strength", [0.05, 0.3, 1.0])
def test_energy_is_within_a_percent_of_the_compiled_solver(width, noise, strength):
    features, edges, weights = blobs(1500, width, noise)
    labels = solve(features, edges, weights, strength)
    check(labels, edges)
    compiled = l0_partition.l0_partition(features, edges, weights, strength)
    ours, theirs = (l0_partition.energy(features, edges, weights, strength, found) for found in (labels, compiled))
    assert ours <= 1.01 * theirs


def test_its_energy_is_that_of_the_definition():
    features, edges, weights = blobs(200, 4, 0.3)
    weights = np.random.default_rng(0).random(len(edges)).astype(np.float32)
    labels = np.random.default_rng(1).integers(0, 7, 200)
    tensors = [torch.from_numpy(a) for a in (edges.astype(np.int64), weights, np.ones(200, np.float32), features)]
    found = merging_torch.energy(merging_torch.Graph(*tensors), torch.from_numpy(labels), 0.7)
    assert found == pytest.approx(l0_partition.energy(features, edges, weights, 0.7, labels), rel=1e-5)


def test_small_regions_join_a_neighbor_and_answers_repeat():
    features, edges, weights = blobs(1200, 4, 0.5)
    labels = solve(features, edges, weights, 0.05, 10)
    check(labels, edges)
    assert np.bincount(labels).min() >= 10
    assert np.array_equal(labels, solve(features, edges, weights, 0.05, 10))


def test_few_points_and_none():
    none = np.zeros((0, 2), np.int32)
    assert solve(np.zeros((0, 3), np.float32), none, np.zeros(0, np.float32), 1.0).tolist() == []
    assert solve(np.zeros((3, 2), np.float32), none, np.zeros(0, np.float32), 1.0, 5).tolist() == [0, 1, 2]
    pair = np.array([[0, 1]], np.int32)
    assert solve(np.zeros((2, 2), np.float32), pair, np.ones(1, np.float32), 1.0).tolist() == [0, 0]
    assert solve(np.array([[0.0], [9.0]], np.float32), pair, np.ones(1, np.float32), 1.0).tolist() == [0, 1]


def test_a_cuda_device_selects_it(monkeypatch):
    asked = []

    def partition_arrays(features, edges, strength, least, device):
        asked.append((len(features), strength, least, device))
        return np.zeros(len(features), np.int32)

    monkeypatch.setattr(merging_torch, "partition_arrays", partition_arrays)
    xyz = np.random.default_rng(0).random((50, 3)).astype(np.float32)
    config = SuperpointConfig()
    assert not superpoints.partition_shapes(xyz, None, config, "cuda:0")[0].any()
    superpoints.partition_shapes(xyz, None, config)
    assert asked == [(50, config.regularization, config.min_points, "cuda:0")]


def test_arrays_go_in_and_come_out():
    features, edges, weights = blobs(300, 3, 0.2)
    labels = merging_torch.partition_arrays(features, edges, 0.3, 1, "cpu")
    assert labels.dtype == np.int32 and np.array_equal(labels, solve(features, edges, weights, 0.3))
