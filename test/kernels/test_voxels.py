"""One point per voxel: number of voxels, first points, invariance to scale."""

from __future__ import annotations

import numpy as np
import pytest

from s4token_model.kernels.voxels import voxel_downsample


@pytest.mark.parametrize("wanted", [50, 500, 3000])
def test_the_first_point_of_every_voxel(wanted):
    rng = np.random.default_rng(5)
    direction = rng.normal(size=(20000, 3))
    xyz = direction / np.linalg.norm(direction, axis=1, keepdims=True)  # a surface
    first, voxel = voxel_downsample(xyz, wanted)
    assert 0.7 * wanted <= len(first) <= 1.3 * wanted
    assert voxel.shape == (20000,) and voxel.max() == len(first) - 1
    assert np.array_equal(voxel[first], np.arange(len(first)))
    assert np.array_equal(first, [np.flatnonzero(voxel == v)[0] for v in range(len(first))])
    moved = voxel_downsample(xyz * 8.0, wanted)  # a power of two: no rounding
    assert np.array_equal(moved[0], first) and np.array_equal(moved[1], voxel)


def test_voxels_of_equal_points_and_of_fewer_points_than_wanted():
    assert voxel_downsample(np.ones((9, 3), np.float32), 5)[0].tolist() == [0]
    assert len(voxel_downsample(np.random.default_rng(0).random((30, 3)).astype(np.float32), 1000)[0]) == 30


def test_a_far_outlier_does_not_swallow_the_cloud():
    xyz = np.concatenate([np.random.default_rng(0).random((20000, 3)), [[2000.0, 0, 0]]])
    assert 2000 <= len(voxel_downsample(xyz, 4000)[0]) <= 8000
    xyz[-1, 0] = -2000.0
    assert 2000 <= len(voxel_downsample(xyz, 4000)[0]) <= 8000
