"""Moments of groups and statistics of classes against numpy, group by group."""

from __future__ import annotations

import numpy as np

from s4token_model import constants
from s4token_model.kernels.group_statistics import class_statistics, group_moments


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


def test_statistics_of_every_class_are_those_of_numpy():
    rng = np.random.default_rng(0)
    labels = rng.choice([0, 1, 4, constants.UNLABELED], 1000).astype(np.uint32)
    confidence, xyz = rng.random(1000, dtype=np.float32), rng.normal(size=(1000, 3)).astype(np.float32)
    xyz[labels == constants.UNLABELED] = np.nan
    found = class_statistics(labels, confidence, xyz, 5)
    for c in (0, 1, 4):
        points = xyz[labels == c]
        assert found.counts[c] == len(points)
        np.testing.assert_allclose(found.centroid[c], points.mean(axis=0, dtype=np.float64), atol=1e-12)
        np.testing.assert_array_equal([found.low[c], found.high[c]], [points.min(axis=0), points.max(axis=0)])
        np.testing.assert_allclose(found.confidence[c], confidence[labels == c].mean(dtype=np.float64), atol=1e-12)


def test_classes_without_points_are_empty():
    found = class_statistics(np.zeros(0, np.uint32), np.zeros(0, np.float32), np.zeros((0, 3)), 3)
    assert not found.counts.any() and not found.confidence.any() and (found.low > found.high).all()
