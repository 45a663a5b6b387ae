"""Moments of groups against numpy."""

from __future__ import annotations

import numpy as np

from s4token_model.kernels.group_moments import group_moments


def test_moments_are_those_of_numpy_group_by_group():
    rng = np.random.default_rng(0)
    xyz, normals, eigen = rng.normal(size=(3, 300, 3)).astype(np.float32)
    groups = rng.integers(0, 7, 300)
    groups[groups == 3] = 2  # an empty group
    found = group_moments(xyz, normals, eigen, groups)
    for group in (0, 1, 2, 4, 5, 6):
        points = xyz[groups == group].astype(np.float64)
        assert found.size[group] == len(points)
        np.testing.assert_allclose(found.mean[group], points.mean(axis=0), atol=1e-6)
        np.testing.assert_allclose(found.covariance[group], np.cov(points.T, bias=True), atol=1e-6)
        features = np.c_[eigen, normals[:, 2] ** 2][groups == group].mean(axis=0)
        np.testing.assert_allclose(found.features[group], features, atol=1e-6)
        assert found.min_z[group] == points[:, 2].min() and found.max_z[group] == points[:, 2].max()
    assert not found.mean[3].any() and not found.covariance[3].any()
