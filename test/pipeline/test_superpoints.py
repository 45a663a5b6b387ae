"""The partition of a cloud: energy, connectedness, both solvers, degenerate clouds."""

from __future__ import annotations

import numpy as np
import pytest
from graphs import inner_components, random_graph
from scipy.sparse import coo_matrix

from s4token_model.config import SuperpointConfig
from s4token_model.pipeline import superpoints

SOLVERS = ["merge", "cut_pursuit"]


def needs(solver: str) -> None:
    if solver == "cut_pursuit":
        pytest.importorskip("cut_pursuit_py")


def plane_and_sphere(seed: int = 0, count: int = 3000) -> tuple[np.ndarray, np.ndarray]:
    """A floor of 2 x 2 with a ball of radius 0.4 lying on it; 1 where a point is the ball's."""
    rng = np.random.default_rng(seed)
    floor = np.c_[rng.uniform(-1, 1, (count, 2)), np.zeros(count)]
    direction = rng.normal(size=(count // 2, 3))
    ball = 0.4 * direction / np.linalg.norm(direction, axis=1, keepdims=True) + [0, 0, 0.45]
    truth = np.r_[np.zeros(len(floor), int), np.ones(len(ball), int)]
    order = rng.permutation(len(truth))
    return np.concatenate([floor, ball])[order].astype(np.float32), truth[order]


def plain_energy(features, edges, labels, regularization) -> float:
    total = 0.0
    for label in set(labels.tolist()):
        own = features[labels == label].astype(np.float64)
        total += ((own - own.mean(axis=0)) ** 2).sum()
    return total + regularization * sum(labels[i] != labels[j] for i, j in edges)


def rand_index(a: np.ndarray, b: np.ndarray) -> float:
    """Adjusted Rand index of two partitions: 1 for equal ones, about 0 for unrelated ones."""
    table = coo_matrix((np.ones(len(a)), (a, b))).tocsr().data

    def pairs(counts):
        return (counts * (counts - 1) / 2).sum()

    both, first, second = pairs(table), pairs(np.bincount(a)), pairs(np.bincount(b))
    chance = first * second / pairs(np.array([len(a)]))
    return float((both - chance) / ((first + second) / 2 - chance))


@pytest.mark.parametrize("seed", range(5))
def test_energy_is_the_plain_definition(seed):
    features, edges, rng = random_graph(40, seed)
    labels = rng.integers(0, 6, 40)
    assert superpoints.energy(features, edges, labels, 0.7) == pytest.approx(plain_energy(features, edges, labels, 0.7))


@pytest.mark.parametrize("solver", SOLVERS)
def test_the_partition_of_a_scene(solver):
    needs(solver)
    xyz, truth = plane_and_sphere()
    config = SuperpointConfig(solver=solver)
    features, local = superpoints.features_and_graph(xyz, None, config)
    edges = local.edges
    labels = superpoints.partition(xyz, None, config)
    assert labels.shape == (len(xyz),) and labels.dtype == np.int32
    assert np.array_equal(np.unique(labels), np.arange(labels.max() + 1))
    assert inner_components(edges, labels) == labels.max() + 1, "every superpoint is connected"
    assert np.bincount(labels).min() >= config.min_points or labels.max() == 0
    energy = superpoints.energy(features, edges, labels, config.regularization)
    for trivial in (np.zeros(len(xyz), int), np.arange(len(xyz))):
        assert energy <= superpoints.energy(features, edges, trivial, config.regularization)
    majority = np.array([np.bincount(truth[labels == s]).argmax() for s in range(labels.max() + 1)])
    assert (majority[labels] == truth).mean() > 0.99, "ball and floor are apart"
    assert labels.max() + 1 < 200
    assert np.array_equal(labels, superpoints.partition(xyz.copy(), None, config)), "the same cloud, the same answer"


@pytest.mark.parametrize("solver", SOLVERS)
def test_more_regularization_gives_fewer_superpoints(solver):
    needs(solver)
    xyz, _ = plane_and_sphere(1, 1500)
    counts = [
        superpoints.partition(xyz, None, SuperpointConfig(solver=solver, regularization=r, min_points=1)).max() + 1
        for r in (0.01, 0.1, 1.0)
    ]
    assert counts[0] > counts[1] > counts[2]


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("anchors", ["all", "voxel", "fps"])
@pytest.mark.parametrize("count", [0, 1, 2, 5, 30])
def test_few_points(solver, anchors, count):
    needs(solver)
    xyz = np.random.default_rng(0).random((count, 3))
    labels = superpoints.partition(xyz, None, SuperpointConfig(solver=solver, anchors=anchors, anchor_count=16))
    assert labels.shape == (count,) and labels.dtype == np.int32
    assert count == 0 or set(labels) == set(range(labels.max() + 1))


@pytest.mark.parametrize("solver", SOLVERS)
def test_equal_points_are_connected_superpoints(solver):
    needs(solver)
    labels = superpoints.partition(np.full((100, 3), 4.2), None, SuperpointConfig(solver=solver))
    assert set(labels) == set(range(labels.max() + 1)) and labels.max() + 1 <= 10


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_non_finite_points_are_refused(bad):
    with pytest.raises(ValueError, match="NaN or inf"):
        superpoints.partition(np.array([[0.0, 0, 0], [bad, 0, 0]]))


def test_far_from_the_origin_the_partition_is_the_same():
    xyz, _ = plane_and_sphere(2, 1000)
    here, there = (superpoints.partition(xyz.astype(np.float64) + offset) for offset in (0.0, [5.0e5, 4.2e6, 300.0]))
    assert rand_index(here, there) > 0.99


def test_color_separates_where_geometry_does_not():
    rng = np.random.default_rng(0)
    xyz = np.c_[rng.random((2000, 2)), np.zeros(2000)]
    left = xyz[:, 0] < 0.5
    rgb = np.where(left[:, None], [1.0, 0, 0], [0, 0, 1.0]).astype(np.float32)
    labels = superpoints.partition(xyz, rgb, SuperpointConfig(rgb_weight=2.0))
    assert not set(labels[left]) & set(labels[~left])
    assert np.array_equal(superpoints.partition(xyz, rgb), superpoints.partition(xyz)), "weight 0 ignores color"


@pytest.mark.parametrize("anchors", ["voxel", "fps"])
def test_anchors(anchors):
    xyz, _ = plane_and_sphere()
    config = SuperpointConfig(anchors=anchors, anchor_count=800)
    chosen = superpoints.choose_anchors(xyz, config)
    assert len(np.unique(chosen)) == len(chosen) and 500 <= len(chosen) <= 1200
    assert superpoints.choose_anchors(xyz[:500], config) is None
    assert superpoints.partition(xyz, None, config).max() > 0
