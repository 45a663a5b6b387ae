"""Normals, eigen-features and the neighbor graph, against numpy and invariances."""

from __future__ import annotations

import numpy as np
import pytest

from s4token_model.kernels.eigen import normals_and_eigenfeatures
from s4token_model.pipeline import geometry


def cloud(kind: str, count: int = 300, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    points = rng.random((count, 3))
    if kind == "plane":
        points[:, 2] = 0.3 * points[:, 0] + 1e-4 * rng.normal(size=count)
    elif kind == "line":
        points = points[:, :1] * [1.0, 2.0, -0.5]
    elif kind == "grid":
        points = np.stack(np.meshgrid(*[np.arange(7)] * 3), axis=-1).reshape(-1, 3) / 7
    return points.astype(np.float32)


def nearest_first(xyz: np.ndarray, k: int) -> np.ndarray:
    """The k nearest of each point by all float32 distances, ties to the lowest index."""
    squared = ((xyz[:, None] - xyz[None]) ** 2).sum(axis=2)
    return np.argsort(squared, axis=1, kind="stable")[:, :k]


def brute(xyz: np.ndarray, support: np.ndarray, around: np.ndarray):
    """Eigenvalues of the scatter about the point, largest first, and the covariance, point by point with numpy."""
    values, covariances = [], []
    for i, rows in enumerate(around):
        offsets = support[rows].astype(np.float64) - xyz[i].astype(np.float64)
        values.append(np.linalg.eigvalsh(offsets.T @ offsets / len(offsets))[::-1])
        covariances.append(np.cov(offsets.T, bias=True))
    return np.array(values), np.array(covariances)


@pytest.mark.parametrize("kind", ["volume", "plane", "line", "grid"])
@pytest.mark.parametrize("use_anchors", [False, True])
def test_eigen_features_and_normals_against_numpy(kind, use_anchors):
    xyz = cloud(kind)
    anchors = np.arange(0, len(xyz), 3) if use_anchors else None
    support = xyz if anchors is None else xyz[anchors]
    local = geometry.local_geometry(xyz, anchors, 12, 5)
    around = nearest_first(xyz, 12) if anchors is None else geometry.nearest(support, xyz, 12)
    values, covariances = brute(xyz, support, around)
    values = np.maximum(values, 0)
    high, middle, low = values.T
    expected = np.stack([high - middle, middle - low, low], axis=1) / high[:, None]
    np.testing.assert_allclose(local.eigen, expected, atol=1e-5)
    assert local.eigen.dtype == local.normals.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(local.normals, axis=1), 1, atol=1e-5)
    # A direction of least variance: its Rayleigh quotient is the smallest eigenvalue, also where that is degenerate.
    quotient = np.einsum("ha,hab,hb->h", local.normals, covariances, local.normals)
    spectrum = np.linalg.eigvalsh(covariances)
    assert np.all(np.abs(quotient - spectrum[:, 0]) <= 1e-6 * spectrum[:, 2] + 1e-12)


def test_neighbors_are_the_nearest():
    xyz = cloud("volume")
    found = geometry.nearest(xyz, xyz[:50], 9)
    distances = np.linalg.norm(xyz[:50, None].astype(np.float64) - xyz[None].astype(np.float64), axis=2)
    got = np.take_along_axis(distances, found, axis=1)
    np.testing.assert_allclose(got, np.sort(distances, axis=1)[:, :9], atol=1e-7)


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_fewer_points_than_neighbors(count):
    local = geometry.local_geometry(cloud("volume", count), None, 20, 8)
    assert np.isfinite(local.normals).all() and np.isfinite(local.eigen).all()
    assert len(local.edges) == count * (count - 1) // 2


def test_lone_and_equal_points_are_upright_and_shapeless():
    for xyz in (np.zeros((1, 3), np.float32), np.full((40, 3), 2.5, np.float32)):
        local = geometry.local_geometry(xyz, None, 20, 8)
        assert np.array_equal(local.normals, np.tile([0, 0, 1], (len(xyz), 1)))
        assert not local.eigen.any()


@pytest.mark.parametrize("scale", [1e-12, 1e12])
def test_features_do_not_depend_on_the_unit(scale):
    xyz = cloud("volume")
    around = geometry.nearest(xyz, xyz, 10)
    once = normals_and_eigenfeatures(xyz, xyz, around)
    scaled = xyz * np.float32(scale)
    np.testing.assert_allclose(normals_and_eigenfeatures(scaled, scaled, around)[1], once[1], atol=1e-5)


def test_the_code_of_a_normal_has_no_sign_and_measures_the_angle():
    rng = np.random.default_rng(4)
    normals = rng.normal(size=(200, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    code = geometry.encode_unoriented_normals(normals)
    assert np.array_equal(code, geometry.encode_unoriented_normals(-normals))
    squared = ((code[:, None].astype(np.float64) - code[None]) ** 2).sum(axis=2)
    np.testing.assert_allclose(squared, 1 - (normals @ normals.T) ** 2, atol=1e-6)


def test_the_code_of_eigenfeatures_keeps_distances():
    rng = np.random.default_rng(5)
    eigen = rng.dirichlet((1, 1, 1), 200)  # sums to 1, as linearity, planarity and scattering do
    code = geometry.encode_eigenfeatures(eigen).astype(np.float64)
    squared, expected = (((rows[:, None] - rows[None]) ** 2).sum(axis=2) for rows in (code, eigen))
    np.testing.assert_allclose(squared, expected, atol=1e-6)
