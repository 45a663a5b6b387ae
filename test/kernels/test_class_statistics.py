"""The kernel against numpy, class by class."""

from __future__ import annotations

import numpy as np

from s4token_model import constants
from s4token_model.kernels.class_statistics import class_statistics


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
