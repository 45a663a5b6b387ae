"""The working form of a cloud."""

from __future__ import annotations

import numpy as np
import pytest

from s4token_model.pipeline import preprocess

AXES = {"x": (1, 0, 0), "y": (0, 1, 0), "z": (0, 0, 1)}


@pytest.mark.parametrize("up", ["x", "-x", "y", "-y", "z", "-z"])
def test_upright_is_the_rotation_that_takes_up_to_z(up):
    turn = preprocess.upright(np.eye(3), up).T
    assert np.isclose(np.linalg.det(turn), 1)
    axis = np.array(AXES[up[-1]]) * (-1 if up.startswith("-") else 1)
    assert np.array_equal(preprocess.upright(axis[None], up)[0], (0, 0, 1))


def test_upright_passes_an_optical_frame_on_with_the_ground_below():
    # optical frame: x right, y down, z forward; a point one meter below the camera
    assert preprocess.upright(np.array([[0.0, 1.0, 2.0]]), "-y")[0, 2] == -1.0


def test_prepare_is_the_same_for_any_order_and_scale():
    rng = np.random.default_rng(0)
    xyz = rng.random((500, 3))
    order = rng.permutation(500)
    first, second = preprocess.prepare(xyz, None, 1000), preprocess.prepare(xyz[order] * 8 + 4, None, 1000)
    assert np.array_equal(first.xyz, second.xyz)
    assert np.array_equal(first.source, order[second.source])


def test_prepare_keeps_color_beside_its_point_and_drops_what_is_not_finite():
    xyz = np.array([[2.0, 0, 0], [np.nan, 0, 0], [1.0, 0, 0], [np.inf, 1, 1]])
    rgb = np.arange(12).reshape(4, 3) / 12
    made = preprocess.prepare(xyz, rgb, 1000)
    assert made.source.tolist() == [2, 0]
    assert np.allclose(made.rgb, rgb[[2, 0]])


def rounded(seed: int, levels: int, kind=np.float32) -> np.ndarray:
    xyz = np.random.default_rng(seed).integers(-levels, levels, (2000, 3)) / 7
    xyz[::3] = -xyz[::3]  # -0.0 among them
    return xyz.astype(kind)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("levels", [1, 40, 10**6])
def test_the_quick_order_is_the_lexicographic_one(kind, levels):
    points = rounded(levels, levels, kind)
    np.testing.assert_array_equal(preprocess.sorted_order(points), np.lexsort(points.T[::-1]))


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64, np.int32, ">f4", np.longdouble])
def test_prepare_is_the_definition_for_every_type(kind):
    xyz = (100 * np.random.default_rng(0).random((500, 3))).astype(kind)
    made, points = preprocess.prepare(xyz, None, 1000), xyz.astype(np.float64)
    order = np.lexsort(points.T[::-1])
    np.testing.assert_array_equal(made.source, order)
    expected = (points[order] - points.min(axis=0)) / np.ptp(points, axis=0).max()
    np.testing.assert_array_equal(made.xyz, expected.astype(np.float32))


@pytest.mark.parametrize("seed", range(3))
def test_a_thinned_cloud_has_the_first_point_of_every_voxel(seed):
    rng = np.random.default_rng(seed)
    xyz = rng.random((30000, 3)) * (1, 1, 0) + (rng.random((30000, 1)) < 0.1) * rng.random((30000, 3))
    made = preprocess.prepare(xyz, None, 3000)
    assert 0.8 * 3000 < len(made.core) < 1.25 * 3000
    assert (np.diff(made.core) > 0).all() and (made.nearest_core[made.core] == np.arange(len(made.core))).all()
    first = np.full(len(made.core), len(xyz))
    np.minimum.at(first, made.nearest_core, np.arange(len(xyz)))
    np.testing.assert_array_equal(first, made.core)
    apart = np.abs(made.xyz - made.xyz[made.core[made.nearest_core]]).max(axis=0)
    own = preprocess.voxels._occupied(made.xyz, apart.max())
    assert own <= 1.5 * len(made.core), "a voxel is no larger than its number says"
